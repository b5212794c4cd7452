//! Tokenizers that are stored as a vocabulary and merges, and their check against a model.

use gpt2_tokenizer::{Gpt2Tokenizer, Gpt2TokenizerConfig, Merges, Vocabulary};

use crate::error::PresetError;
use crate::source::preset_folder::PresetFolder;

/// Vocabulary and merges files that `Gpt2Tokenizer::save_assets` writes.
pub(crate) const ASSETS: [&str; 2] = ["vocabulary.json", "merges.txt"];

/// Reads a tokenizer from its vocabulary and merges.
pub(crate) fn tokenizer_of_tables(
    folder: &dyn PresetFolder,
    (vocabulary, merges): (&str, &str),
    config: Gpt2TokenizerConfig,
) -> Result<Gpt2Tokenizer, PresetError> {
    let vocabulary = Vocabulary::from_json(&folder.read_text(vocabulary)?)?;
    let merges = Merges::parse(&folder.read_text(merges)?)?;
    Ok(Gpt2Tokenizer::new(vocabulary, merges, config)?)
}

/// Returns an error if the tokenizer has tokens without an embedding. `preset` is its name in
/// messages.
pub(crate) fn check_vocabulary(
    preset: &str,
    max_token_id: u32,
    vocabulary_size: usize,
) -> Result<(), PresetError> {
    if (max_token_id as usize) < vocabulary_size {
        return Ok(());
    }
    let preset = preset.to_owned();
    Err(PresetError::VocabularyTooLarge { preset, max_token_id, vocabulary_size })
}

/// Error for a preset that lacks a file of its tokenizer.
pub(crate) fn missing_tokenizer(preset: &str, file: &str) -> PresetError {
    let remedy = "the tokenizer needs it; download or save the preset again";
    PresetError::MissingFile { preset: preset.to_owned(), file: file.to_owned(), remedy }
}
