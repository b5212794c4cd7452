//! Stage 4c: the tokenizer of a preset.

use gpt2_tokenizer::{Gpt2Tokenizer, Gpt2TokenizerConfig, Merges, Vocabulary};
use serde_json::Value;

use crate::error::PresetError;
use crate::formats::format::{CONFIG_FILE, PresetFormat, read_object};
use crate::formats::gguf;
use crate::formats::keras::config as keras_config;
use crate::source::files::{HubAccess, PresetFiles};

pub(crate) const KERAS_VOCABULARY: &str = "assets/tokenizer/vocabulary.json";
pub(crate) const KERAS_MERGES: &str = "assets/tokenizer/merges.txt";
/// What `Gpt2Tokenizer::save_assets` writes beside `merges.txt`.
const ASSET_VOCABULARY: &str = "vocabulary.json";
pub(crate) const VOCABULARY: &str = "vocab.json";
pub(crate) const MERGES: &str = "merges.txt";
pub(crate) const TOKENIZER: &str = "tokenizer.json";
pub(crate) const TOKENIZER_CONFIG: &str = "tokenizer_config.json";

/// Reads the tokenizer in the way of the preset's format.
pub(crate) fn tokenizer(
    files: &PresetFiles,
    format: PresetFormat,
    preset: &str,
) -> Result<Gpt2Tokenizer, PresetError> {
    match format {
        PresetFormat::Gguf => gguf::tokenizer::tokenizer(files),
        PresetFormat::Keras => {
            let wanted = [keras_config::TOKENIZER_CONFIG_FILE, KERAS_VOCABULARY, KERAS_MERGES];
            for file in wanted {
                if !files.has(file)? {
                    return Err(missing(preset, file));
                }
            }
            let config = keras_config::tokenizer_config(files)?;
            from_tables(files, KERAS_VOCABULARY, KERAS_MERGES, config)
        }
        PresetFormat::Transformers => {
            match files.first_of([&[VOCABULARY, MERGES][..], &[TOKENIZER]])? {
                Some(0) => from_tables(files, VOCABULARY, MERGES, transformers_settings(files)?),
                Some(_) => Ok(Gpt2Tokenizer::from_tokenizer_json(&files.read_text(TOKENIZER)?)?),
                None => Err(missing(preset, "vocab.json` with `merges.txt`, or `tokenizer.json")),
            }
        }
    }
}

/// Whether there is any file of a tokenizer, so that the rest is expected too.
pub(crate) fn has_tokenizer(
    files: &PresetFiles,
    format: PresetFormat,
) -> Result<bool, PresetError> {
    let names = match format {
        PresetFormat::Keras => {
            [keras_config::TOKENIZER_CONFIG_FILE, KERAS_VOCABULARY, KERAS_MERGES]
        }
        PresetFormat::Transformers => [TOKENIZER, VOCABULARY, MERGES],
        PresetFormat::Gguf => return gguf::tokenizer::has_tokenizer(files),
    };
    Ok(files.first_of(names.iter().map(std::slice::from_ref))?.is_some())
}

/// The tokenizer of a folder that holds no model: what a tokenizer alone is saved as, in either
/// format or by `save_assets`. None where `preset` is something else.
pub(crate) fn tokenizer_alone(preset: &str) -> Result<Option<Gpt2Tokenizer>, PresetError> {
    let files = PresetFiles::find(preset, &HubAccess::default())?;
    let choices: [&[&str]; 5] = [
        &[CONFIG_FILE],
        &[KERAS_VOCABULARY],
        &[VOCABULARY],
        &[TOKENIZER],
        &[ASSET_VOCABULARY, MERGES],
    ];
    let found = files.first_of(choices)?;
    if found == Some(0) {
        return Ok(None);
    }
    if let Some(file) = files.gguf(preset)? {
        return gguf::tokenizer::tokenizer_alone(&file);
    }
    match found {
        Some(1) => tokenizer(&files, PresetFormat::Keras, preset),
        Some(2 | 3) => tokenizer(&files, PresetFormat::Transformers, preset),
        Some(_) => from_tables(&files, ASSET_VOCABULARY, MERGES, Gpt2TokenizerConfig::new()),
        None => Err(missing(
            preset,
            "config.json`, `assets/tokenizer/vocabulary.json`, `vocab.json`, `vocabulary.json",
        )),
    }
    .map(Some)
}

/// Refuses a tokenizer with tokens for which the model has no embedding. `preset` is what the message
/// calls it.
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

fn from_tables(
    files: &PresetFiles,
    vocabulary: &str,
    merges: &str,
    config: Gpt2TokenizerConfig,
) -> Result<Gpt2Tokenizer, PresetError> {
    let vocabulary = Vocabulary::from_json(&files.read_text(vocabulary)?)?;
    let merges = Merges::parse(&files.read_text(merges)?)?;
    Ok(Gpt2Tokenizer::new(vocabulary, merges, config)?)
}

/// The one setting of `tokenizer_config.json` that is not fixed for GPT-2.
fn transformers_settings(files: &PresetFiles) -> Result<Gpt2TokenizerConfig, PresetError> {
    let config = Gpt2TokenizerConfig::new();
    if !files.has_optional(TOKENIZER_CONFIG)? {
        return Ok(config);
    }
    let json = read_object(files, TOKENIZER_CONFIG)?;
    let add_prefix_space = matches!(json.get("add_prefix_space"), Some(Value::Bool(true)));
    Ok(config.with_add_prefix_space(add_prefix_space))
}

fn missing(preset: &str, file: &str) -> PresetError {
    let remedy = "the tokenizer needs it; download or save the preset again";
    PresetError::MissingFile { preset: preset.to_owned(), file: file.to_owned(), remedy }
}
