//! Stage 4c: the tokenizer of a preset.

use gpt2_tokenizer::{Gpt2Tokenizer, Gpt2TokenizerConfig, Merges, Vocabulary};
use serde_json::Value;

use crate::PresetError;
use crate::files::{HubAccess, PresetFiles};
use crate::format::{CONFIG_FILE, PresetFormat, read_object};
use crate::gguf;
use crate::keras_config;

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
        PresetFormat::Transformers if files.has(VOCABULARY)? && files.has(MERGES)? => {
            from_tables(files, VOCABULARY, MERGES, transformers_settings(files)?)
        }
        PresetFormat::Transformers if files.has(TOKENIZER)? => {
            Ok(Gpt2Tokenizer::from_tokenizer_json(&files.read_text(TOKENIZER)?)?)
        }
        PresetFormat::Transformers => {
            Err(missing(preset, "vocab.json` with `merges.txt`, or `tokenizer.json"))
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
    for name in names {
        if files.has(name)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The tokenizer of a folder that holds no model: what a tokenizer alone is saved as, in either
/// format or by `save_assets`. None where `preset` is something else.
pub(crate) fn tokenizer_alone(preset: &str) -> Result<Option<Gpt2Tokenizer>, PresetError> {
    let files = PresetFiles::find(preset, &HubAccess::default())?;
    if files.has(CONFIG_FILE)? {
        return Ok(None);
    }
    if let Some(file) = files.gguf(preset)? {
        return gguf::tokenizer::tokenizer_alone(&file);
    }
    if files.has(KERAS_VOCABULARY)? {
        return tokenizer(&files, PresetFormat::Keras, preset).map(Some);
    }
    if files.has(VOCABULARY)? || files.has(TOKENIZER)? {
        return tokenizer(&files, PresetFormat::Transformers, preset).map(Some);
    }
    if files.has(ASSET_VOCABULARY)? && files.has(MERGES)? {
        let config = Gpt2TokenizerConfig::new();
        return from_tables(&files, ASSET_VOCABULARY, MERGES, config).map(Some);
    }
    let file = "config.json`, `assets/tokenizer/vocabulary.json`, `vocab.json`, `vocabulary.json";
    Err(missing(preset, file))
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
    if !files.has(TOKENIZER_CONFIG)? {
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
