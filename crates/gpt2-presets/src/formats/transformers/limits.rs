//! Tokenizer options that the transformers library's files do not support.

use gpt2_tokenizer::Gpt2Tokenizer;

use crate::error::PresetError;
use crate::formats::expressible::{check_settings, check_tokenizer_options};

/// Returns an error for options that the files do not store.
pub(crate) fn check_tokenizer(tokenizer: &Gpt2Tokenizer) -> Result<(), PresetError> {
    const FORMAT: &str = "a tokenizer of transformers";
    let (config, special) = (tokenizer.config(), tokenizer.special_tokens());
    check_tokenizer_options(FORMAT, config)?;
    let mut others = config.unsplittable_tokens.clone();
    others.retain(|token| !special.contains(&token.as_str()));
    check_settings(
        FORMAT,
        &[
            ("sequence_length", &config.sequence_length, &None::<usize>),
            ("unsplittable_tokens", &others, &[""; 0]),
        ],
        "save the tokenizer with `save_to_preset`",
    )
}
