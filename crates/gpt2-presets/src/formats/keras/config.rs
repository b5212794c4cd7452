//! Stage 4a: the configs of a KerasHub preset.

use gpt2_backbone::Gpt2BackboneConfig;
use gpt2_task::PreprocessorConfig;
use gpt2_tokenizer::Gpt2TokenizerConfig;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::PresetError;
use crate::formats::format::{CONFIG_FILE, invalid_json, read_object};
use crate::source::files::PresetFiles;

pub(crate) const TOKENIZER_CONFIG_FILE: &str = "tokenizer.json";
pub(crate) const PREPROCESSOR_CONFIG_FILE: &str = "preprocessor.json";
pub(crate) const TASK_CONFIG_FILE: &str = "task.json";
pub(crate) const METADATA_FILE: &str = "metadata.json";

/// The backbone in `config.json`.
pub(crate) fn backbone_config(
    files: &PresetFiles,
    json: &Map<String, Value>,
) -> Result<Gpt2BackboneConfig, PresetError> {
    parse(files, CONFIG_FILE, serialized_object(files, CONFIG_FILE, json, "GPT2Backbone")?)
}

/// The tokenizer in `tokenizer.json`.
pub(crate) fn tokenizer_config(files: &PresetFiles) -> Result<Gpt2TokenizerConfig, PresetError> {
    let json = read_object(files, TOKENIZER_CONFIG_FILE)?;
    let config = serialized_object(files, TOKENIZER_CONFIG_FILE, &json, "GPT2Tokenizer")?;
    parse(files, TOKENIZER_CONFIG_FILE, config)
}

/// The preprocessor in `preprocessor.json`, or none where that file is absent or another task's.
pub(crate) fn preprocessor_config(
    files: &PresetFiles,
) -> Result<Option<PreprocessorConfig>, PresetError> {
    let file = PREPROCESSOR_CONFIG_FILE;
    if !files.has_optional(file)? {
        return Ok(None);
    }
    let json = read_object(files, file)?;
    match serialized_object(files, file, &json, "GPT2CausalLMPreprocessor") {
        Ok(config) => parse(files, file, config).map(Some),
        // As KerasHub: the preprocessor of `GPT2Preprocessor` presets has other settings.
        Err(PresetError::UnsupportedClass { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What `task.json` says about the preprocessor of a causal language model.
#[derive(Debug, PartialEq)]
pub(crate) enum TaskPreprocessor {
    /// There is no such file, or it describes another task.
    Unsaid,
    /// The task was saved without one.
    Absent,
    /// The task was saved with this one.
    Saved(PreprocessorConfig),
}

/// The preprocessor in `task.json`.
pub(crate) fn task_preprocessor(files: &PresetFiles) -> Result<TaskPreprocessor, PresetError> {
    let file = TASK_CONFIG_FILE;
    if !files.has_optional(file)? {
        return Ok(TaskPreprocessor::Unsaid);
    }
    let json = read_object(files, file)?;
    let config = match serialized_object(files, file, &json, "GPT2CausalLM") {
        Ok(config) => config,
        Err(PresetError::UnsupportedClass { .. }) => return Ok(TaskPreprocessor::Unsaid),
        Err(error) => return Err(error),
    };
    match config.get("preprocessor") {
        None | Some(Value::Null) => Ok(TaskPreprocessor::Absent),
        Some(Value::Object(json)) => {
            let config = serialized_object(files, file, json, "GPT2CausalLMPreprocessor")?;
            parse(files, file, config).map(TaskPreprocessor::Saved)
        }
        Some(_) => Err(invalid_json(files, file, "`preprocessor` must be an object or null")),
    }
}

/// The `config` of a serialized Keras object, if it is one of `class`. Nothing else is looked at:
/// no other class is built and no path in it is opened.
fn serialized_object<'a>(
    files: &PresetFiles,
    file: &str,
    json: &'a Map<String, Value>,
    class: &'static str,
) -> Result<&'a Map<String, Value>, PresetError> {
    let name = registered_name(json);
    if !is_of_class(json, class) {
        let (file, found) = (files.display(file), name.to_owned());
        return Err(PresetError::UnsupportedClass { file, expected: class, found });
    }
    match json.get("config") {
        Some(Value::Object(config)) => Ok(config),
        _ => Err(invalid_json(files, file, format!("the `config` of `{name}` must be an object"))),
    }
}

/// Whether a serialized Keras object is one of KerasHub's `class`.
pub(crate) fn is_of_class(json: &Map<String, Value>, class: &str) -> bool {
    let name = registered_name(json);
    // `package>class`, where the package is `keras_hub` or, before its renaming, `keras_nlp`.
    let bare = name.strip_prefix("keras_hub>").or_else(|| name.strip_prefix("keras_nlp>"));
    bare.unwrap_or(name) == class
}

/// The class of a serialized Keras object; empty if it is none.
fn registered_name(json: &Map<String, Value>) -> &str {
    let name = json.get("registered_name").filter(|name| !name.is_null());
    name.or_else(|| json.get("class_name")).and_then(Value::as_str).unwrap_or("")
}

fn parse<T: DeserializeOwned>(
    files: &PresetFiles,
    file: &str,
    config: &Map<String, Value>,
) -> Result<T, PresetError> {
    serde_json::from_value(Value::Object(config.clone()))
        .map_err(|error| invalid_json(files, file, error))
}
