//! A model of GPT-2 base's size with random weights: to load it takes as long as the trained one.

use std::path::Path;

use gpt2_backbone::{Gpt2Backbone, Gpt2BackboneConfig};
use gpt2_presets::ExportToTransformers;
use gpt2_task::{Gpt2CausalLm, Gpt2CausalLmPreprocessor, PreprocessorConfig};
use gpt2_tokenizer::{
    Gpt2Tokenizer, Gpt2TokenizerConfig, Merges, TokenId, TokenizerTrainer, Vocabulary,
};

/// Merges of GPT-2's vocabulary: with 256 bytes and `<|endoftext|>` 50257 tokens.
const MERGES: usize = 50_000;

/// Writes the model in transformers' format.
pub fn write(folder: &Path) -> anyhow::Result<()> {
    let config = Gpt2BackboneConfig::new(50257, 12, 12, 768, 3072);
    let device = gpt2_backbone::parse_device("cpu")?;
    let backbone = Gpt2Backbone::new(&config, 0, &device)?;
    let preprocessor = Gpt2CausalLmPreprocessor::new(tokenizer()?, PreprocessorConfig::default())?;
    Ok(Gpt2CausalLm::new(backbone, Some(preprocessor))?.export_to_transformers(folder)?)
}

/// A tokenizer of GPT-2's size, whose merges are pairs of bytes.
fn tokenizer() -> anyhow::Result<Gpt2Tokenizer> {
    let mut trainer = TokenizerTrainer::new(257)?;
    trainer.feed("a");
    let trained = trainer.train()?;
    let bytes = (0..256).map(|id| trained.id_to_token(id)).collect::<Result<Vec<_>, _>>()?;
    let pairs = || {
        let pairs = bytes.iter().flat_map(|left| bytes.iter().map(move |right| (left, right)));
        pairs.take(MERGES)
    };
    let merged = pairs().map(|(left, right)| format!("{left}{right}"));
    let special = trained.special_tokens().map(str::to_owned);
    let tokens = bytes.iter().map(|token| (*token).to_owned()).chain(merged).chain(special);
    let vocabulary =
        Vocabulary::from_pairs(tokens.zip(0..).map(|(token, id)| (token, id as TokenId)))?;
    let merges = Merges::from_rules(pairs().map(|(left, right)| format!("{left} {right}")))?;
    Ok(Gpt2Tokenizer::new(vocabulary, merges, Gpt2TokenizerConfig::new())?)
}
