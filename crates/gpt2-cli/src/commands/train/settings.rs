//! Flags that a resumed training must share, and their changes.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use clap::ValueEnum;
use serde_json::{Map, Value, json};

use super::arguments::Arguments;

/// File in the folder `training` with the training's flags.
pub(super) const FILE: &str = "arguments.json";

/// Flags that affect the result of a training.
fn flags(arguments: &Arguments) -> Map<String, Value> {
    let name = |value: Option<clap::builder::PossibleValue>| {
        value.map(|value| value.get_name().to_owned())
    };
    let is_new = arguments.config.is_some();
    let preset = (!is_new).then_some(&arguments.preset);
    let flags = [
        ("--preset", json!(preset)),
        ("--config", json!(arguments.config)),
        ("--tokenizer", json!(arguments.tokenizer)),
        ("--train", json!(arguments.train)),
        ("--validation", json!(arguments.validation)),
        ("--text-key", json!(arguments.text_key)),
        ("--unknown", json!(name(arguments.unknown.to_possible_value()))),
        ("--sequence-length", json!(arguments.sequence_length)),
        ("--stride", json!(arguments.stride)),
        ("--batch-size", json!(arguments.batch_size)),
        ("--epochs", json!(arguments.epochs)),
        ("--steps", json!(arguments.steps)),
        ("--steps-per-epoch", json!(arguments.steps_per_epoch)),
        ("--learning-rate", json!(arguments.learning_rate)),
        ("--schedule", json!(arguments.schedule)),
        ("--optimizer", json!(arguments.optimizer)),
        ("--lora-rank", json!(arguments.lora_rank)),
        ("--dropout", json!(arguments.dropout)),
        ("--early-stopping", json!(arguments.early_stopping)),
        ("--precision", json!(name(arguments.precision.to_possible_value()))),
        ("--seed", json!(arguments.seed)),
    ];
    flags.into_iter().map(|(flag, value)| (flag.to_owned(), value)).collect()
}

/// Writes the flags, for comparison with those of a later run.
pub(super) fn write(arguments: &Arguments, path: &Path) -> anyhow::Result<()> {
    let text = format!("{:#}\n", Value::Object(flags(arguments)));
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Flags that differ from the checkpoint's, such as `--dropout: was 0.1, is 0.2`.
pub(super) fn changes(arguments: &Arguments, path: &Path) -> Vec<String> {
    // Without the file, the library's own error is reported.
    let stored = fs::read_to_string(path).unwrap_or_default();
    let stored: Map<String, Value> = serde_json::from_str(&stored).unwrap_or_default();
    let present = flags(arguments);
    // More epochs change nothing else, unless the schedule depends on the length of the training.
    let is_constant = arguments.schedule.starts_with("constant");
    let changed = present.iter().filter_map(|(flag, is)| {
        let was = stored.get(flag)?;
        let is_free = matches!(flag.as_str(), "--epochs" | "--steps") && is_constant;
        let changed = was != is && !is_free;
        changed.then(|| format!("{flag}: was {}, is {}", text(was), text(is)))
    });
    changed.collect()
}

/// A value as a user types it.
fn text(value: &Value) -> String {
    match value {
        Value::Null => "not given".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(values) if values.is_empty() => "not given".to_owned(),
        Value::Array(values) => values.iter().map(text).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}
