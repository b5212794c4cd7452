//! Configs of a KerasHub preset.

use gpt2_backbone::Gpt2BackboneConfig;
use gpt2_task::PreprocessorConfig;
use gpt2_tokenizer::Gpt2TokenizerConfig;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::PresetError;
use crate::formats::config_file::CONFIG_FILE;
use crate::formats::format::TaskPreprocessor;
use crate::formats::keras::names::{
    PREPROCESSOR_CONFIG_FILE, TASK_CONFIG_FILE, TOKENIZER_CONFIG_FILE,
};
use crate::source::json_object::{JSON, read_object};
use crate::source::preset_folder::PresetFolder;

/// Reads the backbone's config from `config.json`.
pub(crate) fn backbone_config(
    folder: &dyn PresetFolder,
    json: &Map<String, Value>,
) -> Result<Gpt2BackboneConfig, PresetError> {
    parse(folder, CONFIG_FILE, serialized_object(folder, CONFIG_FILE, json, "GPT2Backbone")?)
}

/// Reads the tokenizer's config from `tokenizer.json`.
pub(crate) fn tokenizer_config(
    folder: &dyn PresetFolder,
) -> Result<Gpt2TokenizerConfig, PresetError> {
    let json = read_object(folder, TOKENIZER_CONFIG_FILE)?;
    let config = serialized_object(folder, TOKENIZER_CONFIG_FILE, &json, "GPT2Tokenizer")?;
    parse(folder, TOKENIZER_CONFIG_FILE, config)
}

/// Reads the preprocessor's config from `preprocessor.json`. None if the file is absent or belongs
/// to another task.
pub(crate) fn preprocessor_config(
    folder: &dyn PresetFolder,
) -> Result<Option<PreprocessorConfig>, PresetError> {
    let file = PREPROCESSOR_CONFIG_FILE;
    if !folder.fetch_optional(file)? {
        return Ok(None);
    }
    let json = read_object(folder, file)?;
    match serialized_object(folder, file, &json, "GPT2CausalLMPreprocessor") {
        Ok(config) => parse(folder, file, config).map(Some),
        // As in KerasHub: presets of `GPT2Preprocessor` have other settings.
        Err(PresetError::UnsupportedClass { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads the preprocessor from `task.json`.
pub(crate) fn task_preprocessor(
    folder: &dyn PresetFolder,
) -> Result<TaskPreprocessor, PresetError> {
    let file = TASK_CONFIG_FILE;
    if !folder.fetch_optional(file)? {
        return Ok(TaskPreprocessor::Unspecified);
    }
    let json = read_object(folder, file)?;
    let config = match serialized_object(folder, file, &json, "GPT2CausalLM") {
        Ok(config) => config,
        Err(PresetError::UnsupportedClass { .. }) => return Ok(TaskPreprocessor::Unspecified),
        Err(error) => return Err(error),
    };
    match config.get("preprocessor") {
        None | Some(Value::Null) => Ok(TaskPreprocessor::Absent),
        Some(Value::Object(json)) => {
            let config = serialized_object(folder, file, json, "GPT2CausalLMPreprocessor")?;
            parse(folder, file, config).map(TaskPreprocessor::Saved)
        }
        Some(_) => Err(invalid(folder, file, "`preprocessor` must be an object or null")),
    }
}

/// The `config` of a serialized Keras object of the class `class`. Nothing else is used: no other
/// class is built, and no path in it is opened.
fn serialized_object<'a>(
    folder: &dyn PresetFolder,
    file: &str,
    json: &'a Map<String, Value>,
    class: &'static str,
) -> Result<&'a Map<String, Value>, PresetError> {
    let name = registered_name(json);
    if !is_of_class(json, class) {
        let (file, found) = (folder.display(file), name.to_owned());
        return Err(PresetError::UnsupportedClass { file, expected: class, found });
    }
    match json.get("config") {
        Some(Value::Object(config)) => Ok(config),
        _ => Err(invalid(folder, file, format!("the `config` of `{name}` must be an object"))),
    }
}

/// Whether a serialized Keras object is one of KerasHub's `class`.
pub(crate) fn is_of_class(json: &Map<String, Value>, class: &str) -> bool {
    let name = registered_name(json);
    // `package>class`, where the package is `keras_hub` or, before its renaming, `keras_nlp`.
    let bare = name.strip_prefix("keras_hub>").or_else(|| name.strip_prefix("keras_nlp>"));
    bare.unwrap_or(name) == class
}

/// Class of a serialized Keras object. Empty if the object has none.
fn registered_name(json: &Map<String, Value>) -> &str {
    let name = json.get("registered_name").filter(|name| !name.is_null());
    name.or_else(|| json.get("class_name")).and_then(Value::as_str).unwrap_or("")
}

fn parse<T: DeserializeOwned>(
    folder: &dyn PresetFolder,
    file: &str,
    config: &Map<String, Value>,
) -> Result<T, PresetError> {
    serde_json::from_value(Value::Object(config.clone()))
        .map_err(|error| invalid(folder, file, error))
}

fn invalid(folder: &dyn PresetFolder, file: &str, detail: impl ToString) -> PresetError {
    JSON.malformed(folder.display(file), "", detail.to_string())
}
