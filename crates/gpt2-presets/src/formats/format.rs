//! Stage 3: `config.json` to the format of the preset. A GGUF file has none.

use serde_json::{Map, Value};

use crate::error::PresetError;
use crate::source::files::PresetFiles;

/// The file that says what a preset is.
pub(crate) const CONFIG_FILE: &str = "config.json";

/// Who wrote a preset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PresetFormat {
    /// KerasHub: `model.weights.h5`, `assets/tokenizer/`.
    Keras,
    /// The transformers library: `model.safetensors`, `vocab.json`, `merges.txt`.
    Transformers,
    /// llama.cpp: one `.gguf` file.
    Gguf,
}

impl PresetFormat {
    /// Decides as KerasHub's `get_preset_loader` (`utils/preset_utils.py`).
    pub(crate) fn detect(config: &Map<String, Value>, preset: &str) -> Result<Self, PresetError> {
        // `class_name` alone is what the oldest KerasNLP wrote.
        if config.contains_key("registered_name") || config.contains_key("class_name") {
            Ok(Self::Keras)
        } else if config.contains_key("model_type") {
            Ok(Self::Transformers)
        } else {
            let found = config.keys().take(10).cloned().collect();
            Err(PresetError::UnrecognizedFormat { preset: preset.to_owned(), found })
        }
    }
}

/// Reads a JSON file whose outermost value is an object.
pub(crate) fn read_object(
    files: &PresetFiles,
    name: &str,
) -> Result<Map<String, Value>, PresetError> {
    let text = files.read_text(name)?;
    // The parser bounds the depth, so a deeply nested file is an error like any other.
    serde_json::from_str(&text).map_err(|error| invalid_json(files, name, error))
}

pub(crate) fn invalid_json(
    files: &PresetFiles,
    name: &str,
    error: impl std::fmt::Display,
) -> PresetError {
    PresetError::InvalidJson { file: files.display(name), detail: error.to_string() }
}
