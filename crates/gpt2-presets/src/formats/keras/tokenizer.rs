//! Tokenizer of a KerasHub preset.

use gpt2_tokenizer::Gpt2Tokenizer;

use crate::error::PresetError;
use crate::formats::keras::config;
use crate::formats::keras::names::{MERGES_FILE, TOKENIZER_CONFIG_FILE, VOCABULARY_FILE};
use crate::formats::tables::{missing_tokenizer, tokenizer_of_tables};
use crate::source::preset_folder::PresetFolder;

/// Files of a tokenizer: its config and its tables.
pub(crate) const FILES: [&str; 3] = [TOKENIZER_CONFIG_FILE, VOCABULARY_FILE, MERGES_FILE];

/// Reads the tokenizer.
pub(crate) fn tokenizer(
    folder: &dyn PresetFolder,
    preset: &str,
) -> Result<Gpt2Tokenizer, PresetError> {
    for file in FILES {
        if !folder.fetch(file)? {
            return Err(missing_tokenizer(preset, file));
        }
    }
    let config = config::tokenizer_config(folder)?;
    tokenizer_of_tables(folder, (VOCABULARY_FILE, MERGES_FILE), config)
}
