//! Text of a model's page, for a preset without one.

use std::fmt::Write;

use serde_json::{Map, Value};

use crate::formats::keras::config::TASK_CONFIG_FILE;
use crate::publish::preset_checks::CheckedPreset;

/// Most bytes that are read of a `task.json`.
const MAX_TASK_SIZE: u64 = 1 << 20;

/// Text of KerasHub's card (`create_model_card` in `utils/preset_utils.py`), with code that loads the
/// model. `id` is `owner/model`.
pub(crate) fn model_card(preset: &CheckedPreset, id: &str) -> String {
    let parameters = with_separators(preset.config.parameter_count());
    let (head, empty) = (head(preset), Map::new());
    let config = if preset.is_keras {
        preset.json.get("config").and_then(Value::as_object)
    } else {
        Some(&preset.json)
    };
    let config = config_lines(config.unwrap_or(&empty));
    let usage = usage(preset.is_keras, id);
    format!(
        "{head}It has {parameters} parameters.\n\nModel config:\n{config}\n{usage}\n\
         This model card has been generated automatically and should be completed by the model \
         author. See [Model Cards documentation](https://huggingface.co/docs/hub/model-cards) for \
         more information.\n"
    )
}

/// Head of the card, which the hub reads, and the first lines.
fn head(preset: &CheckedPreset) -> String {
    const GENERATION: &str = "pipeline_tag: text-generation\n";
    if !preset.is_keras {
        return format!(
            "---\nlibrary_name: transformers\n{GENERATION}---\nThis is a [`GPT2` \
             model](https://huggingface.co/docs/transformers/model_doc/gpt2) in the format of the \
             transformers library.\n"
        );
    }
    let causal = is_causal_lm(preset);
    let tag = if causal { GENERATION } else { "" };
    let task = if causal { "This model is related to a `CausalLM` task.\n\n" } else { "" };
    format!(
        "---\nlibrary_name: keras-hub\n{tag}---\nThis is a [`GPT2` \
         model](https://keras.io/api/keras_hub/models/gpt2) in the format of the KerasHub \
         library and can be used with JAX, TensorFlow, and PyTorch backends.\n{task}"
    )
}

fn is_causal_lm(preset: &CheckedPreset) -> bool {
    let task = preset.file(TASK_CONFIG_FILE).and_then(|file| file.read(MAX_TASK_SIZE).ok());
    let task: Option<Value> = task.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    task.is_some_and(|task| task["class_name"] == "GPT2CausalLM")
}

/// Lines with the settings. An object, such as a dtype policy, is given by its name.
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

fn usage(is_keras: bool, id: &str) -> String {
    let transformers = if is_keras {
        String::new()
    } else {
        format!(
            "With transformers:\n\n```python\nfrom transformers import pipeline\n\n\
             generator = pipeline(\"text-generation\", model=\"{id}\")\n\
             print(generator(\"Once upon a time\")[0][\"generated_text\"])\n```\n\n"
        )
    };
    format!(
        "{transformers}With KerasHub:\n\n```python\nimport keras_hub\n\n\
         model = keras_hub.models.GPT2CausalLM.from_preset(\"hf://{id}\")\n\
         print(model.generate(\"Once upon a time\", max_length=50))\n```\n\n\
         In Rust, with gpt2-presets:\n\n```rust\n\
         let mut model = Gpt2CausalLm::from_preset(\"hf://{id}\", &Device::flex())?;\n\
         let text = model.generate(\"Once upon a time\", &GenerateOptions::new())?;\n```\n"
    )
}

fn with_separators(count: u128) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_separators() {
        assert_eq!(with_separators(0), "0");
        assert_eq!(with_separators(999), "999");
        assert_eq!(with_separators(124_439_808), "124,439,808");
    }
}
