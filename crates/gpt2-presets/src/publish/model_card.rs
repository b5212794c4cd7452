//! Model card of a preset that has none.

use std::fmt::Write;

use gpt2_task::grouped;
use serde_json::{Map, Value};

use crate::publish::preset_checks::CheckedPreset;

/// Maximum number of bytes that are read of a task's config.
const MAX_TASK_SIZE: u64 = 1 << 20;

/// Text of KerasHub's card (`create_model_card` in `utils/preset_utils.py`), with code that loads
/// the model. `id` is `owner/model`.
pub(crate) fn model_card(preset: &CheckedPreset, id: &str) -> String {
    let parameters = grouped(preset.config.parameter_count());
    let (head, empty) = (head(preset), Map::new());
    let config = match preset.publishing.settings {
        Some(key) => preset.json.get(key).and_then(Value::as_object),
        None => Some(&preset.json),
    };
    let config = config_lines(config.unwrap_or(&empty));
    let usage = usage(preset, id);
    format!(
        "{head}It has {parameters} parameters.\n\nModel config:\n{config}\n{usage}\n\
         This model card has been generated automatically and should be completed by the model \
         author. See [Model Cards documentation](https://huggingface.co/docs/hub/model-cards) for \
         more information.\n"
    )
}

/// Metadata of the card, which the hub reads, and its first lines.
fn head(preset: &CheckedPreset) -> String {
    let (library, introduction) = (preset.publishing.library, preset.publishing.introduction);
    let (is_causal, task) = match preset.publishing.task_file {
        None => (true, ""),
        Some(file) if is_causal_lm(preset, file) => {
            (true, "This model is related to a `CausalLM` task.\n\n")
        }
        Some(_) => (false, ""),
    };
    let tag = if is_causal { "pipeline_tag: text-generation\n" } else { "" };
    format!("---\nlibrary_name: {library}\n{tag}---\n{introduction}\n{task}")
}

fn is_causal_lm(preset: &CheckedPreset, task_file: &str) -> bool {
    let task = preset.file(task_file).and_then(|file| file.read(MAX_TASK_SIZE).ok());
    let task: Option<Value> = task.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    task.is_some_and(|task| task["class_name"] == "GPT2CausalLM")
}

/// Lines with the settings. Objects, such as a dtype policy, are represented by their name.
fn config_lines(config: &Map<String, Value>) -> String {
    let mut lines = String::new();
    for (key, value) in config {
        let value = match value {
            Value::Bool(true) => "True".to_owned(),
            Value::Bool(false) => "False".to_owned(),
            Value::Null => "None".to_owned(),
            Value::String(text) => text.clone(),
            Value::Object(object) => match &object.get("config").unwrap_or(value)["name"] {
                Value::String(name) => name.clone(),
                _ => continue,
            },
            other => other.to_string(),
        };
        let _ = writeln!(lines, "* **{key}:** {}", value.replace(['\r', '\n'], " "));
    }
    lines
}

fn usage(preset: &CheckedPreset, id: &str) -> String {
    let library = (preset.publishing.usage)(id);
    format!(
        "{library}With KerasHub:\n\n```python\nimport keras_hub\n\n\
         model = keras_hub.models.GPT2CausalLM.from_preset(\"hf://{id}\")\n\
         print(model.generate(\"Once upon a time\", max_length=50))\n```\n\n\
         In Rust, with gpt2-presets:\n\n```rust\n\
         let mut model = Gpt2CausalLm::from_preset(\"hf://{id}\", &Device::flex())?;\n\
         let text = model.generate(\"Once upon a time\", &GenerateOptions::new())?;\n```\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_separators() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(124_439_808), "124,439,808");
    }
}
