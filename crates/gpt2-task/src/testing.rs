//! KerasHub's tiny test model around " airplane at airport", for examples and tests.

use burn::tensor::Device;
use gpt2_backbone::{Gpt2Backbone, Gpt2BackboneConfig};
use gpt2_tokenizer::{Gpt2Tokenizer, Gpt2TokenizerConfig, Merges, Vocabulary};

use crate::causal_lm::Gpt2CausalLm;
use crate::causal_lm_preprocessor::{Gpt2CausalLmPreprocessor, PreprocessorConfig};

/// Merges of `gpt2_causal_lm_test.py`.
const MERGES: [&str; 17] = [
    "Ġ a", "Ġ t", "Ġ i", "Ġ b", "a i", "p l", "n e", "Ġa t", "p o", "r t", "Ġt h", "ai r", "pl a",
    "po rt", "Ġai r", "Ġa i", "pla ne",
];

/// Tokenizer of the letters and the merges' results, sorted, then `!` and `<|endoftext|>`.
pub fn tokenizer() -> Gpt2Tokenizer {
    let mut tokens: Vec<String> = MERGES.iter().map(|rule| rule.replace(' ', "")).collect();
    tokens.extend(('a'..='z').chain(['Ġ']).map(String::from));
    tokens.sort();
    tokens.dedup();
    tokens.extend(["!", "<|endoftext|>"].map(str::to_owned));
    let pairs = tokens.into_iter().zip(0..);
    let vocabulary = Vocabulary::from_pairs(pairs).expect("the vocabulary is well formed");
    let merges = Merges::from_rules(MERGES).expect("the merges are well formed");
    Gpt2Tokenizer::new(vocabulary, merges, Gpt2TokenizerConfig::default())
        .expect("vocabulary and merges belong together")
}

/// Preprocessor for rows of 8 tokens.
pub fn preprocessor() -> Gpt2CausalLmPreprocessor {
    let config = PreprocessorConfig::new().with_sequence_length(8);
    Gpt2CausalLmPreprocessor::new(tokenizer(), config).expect("8 tokens have room")
}

/// Model with two small layers and random weights.
pub fn model() -> Gpt2CausalLm {
    let vocabulary_size = tokenizer().vocabulary_size();
    let config = Gpt2BackboneConfig::new(vocabulary_size, 2, 2, 4, 8).with_max_sequence_length(8);
    let backbone = Gpt2Backbone::new(&config, 42, &Device::flex()).expect("the config is valid");
    Gpt2CausalLm::new(backbone, Some(preprocessor())).expect("the parts belong together")
}
