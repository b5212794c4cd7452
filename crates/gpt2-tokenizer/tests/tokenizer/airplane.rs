//! Small vocabulary of KerasHub's tests, about airplanes at airports.

use gpt2_tokenizer::{Gpt2Tokenizer, Gpt2TokenizerConfig, Merges, TokenId, Vocabulary};

const RULES: [&str; 17] = [
    "Ġ a", "Ġ t", "Ġ i", "Ġ b", "a i", "p l", "n e", "Ġa t", "p o", "r t", "Ġt h", "ai r", "pl a",
    "po rt", "Ġai r", "Ġa i", "pla ne",
];

/// Parts and results of all rules, sorted, followed by `!` and `<|endoftext|>`.
pub fn vocabulary() -> Vocabulary {
    let mut tokens: Vec<String> = RULES
        .iter()
        .filter_map(|rule| rule.split_once(' '))
        .flat_map(|(left, right)| [left.into(), right.into(), format!("{left}{right}")])
        .collect();
    tokens.sort();
    tokens.dedup();
    tokens.extend(["!".into(), "<|endoftext|>".into()]);
    Vocabulary::from_pairs(tokens.into_iter().zip(0..)).unwrap()
}

pub fn merges() -> Merges {
    Merges::from_rules(RULES).unwrap()
}

pub fn tokenizer(config: Gpt2TokenizerConfig) -> Gpt2Tokenizer {
    Gpt2Tokenizer::new(vocabulary(), merges(), config).unwrap()
}

/// Ids of `" airplane at airport<|endoftext|>"` in KerasHub's test.
pub const SENTENCE_IDS: [TokenId; 6] = [23, 14, 24, 23, 16, 30];
