//! Tokenizer of a model of the transformers library.

use gpt2_tokenizer::{Gpt2Tokenizer, Gpt2TokenizerConfig};
use serde_json::Value;

use crate::error::PresetError;
use crate::formats::tables::{missing_tokenizer, tokenizer_of_tables};
use crate::formats::transformers::names::{
    MERGES_FILE, TOKENIZER_CONFIG_FILE, TOKENIZER_FILE, VOCABULARY_FILE,
};
use crate::source::json_object::read_object;
use crate::source::preset_folder::PresetFolder;

/// Files of a tokenizer. A preset with any of them has a tokenizer.
pub(crate) const FILES: [&str; 3] = [TOKENIZER_FILE, VOCABULARY_FILE, MERGES_FILE];

/// Reads the tokenizer from vocabulary and merges, or else from `tokenizer.json`.
pub(crate) fn tokenizer(
    folder: &dyn PresetFolder,
    preset: &str,
) -> Result<Gpt2Tokenizer, PresetError> {
    match folder.fetch_first_of(&[&[VOCABULARY_FILE, MERGES_FILE], &[TOKENIZER_FILE]])? {
        Some(0) => tokenizer_of_tables(folder, (VOCABULARY_FILE, MERGES_FILE), settings(folder)?),
        Some(_) => Ok(Gpt2Tokenizer::from_tokenizer_json(&folder.read_text(TOKENIZER_FILE)?)?),
        None => Err(missing_tokenizer(preset, "vocab.json` with `merges.txt`, or `tokenizer.json")),
    }
}

/// The only setting of `tokenizer_config.json` that GPT-2 does not fix.
fn settings(folder: &dyn PresetFolder) -> Result<Gpt2TokenizerConfig, PresetError> {
    let config = Gpt2TokenizerConfig::new();
    if !folder.fetch_optional(TOKENIZER_CONFIG_FILE)? {
        return Ok(config);
    }
    let json = read_object(folder, TOKENIZER_CONFIG_FILE)?;
    let add_prefix_space = matches!(json.get("add_prefix_space"), Some(Value::Bool(true)));
    Ok(config.with_add_prefix_space(add_prefix_space))
}
