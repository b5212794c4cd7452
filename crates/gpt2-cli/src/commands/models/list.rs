//! `gpt2 models list`: the built-in presets.

use gpt2_presets::{PresetInfo, presets};
use serde_json::{Value, json};

use super::{cached_bytes, download_size};
use crate::answer::Answer;
use crate::context::Context;
use crate::values::size;

/// List the built-in presets, and those on this machine
#[derive(clap::Args)]
pub struct Arguments {}

/// Prints a table of at most 80 columns.
pub(crate) fn run(_arguments: &Arguments, context: &Context) -> anyhow::Result<Answer> {
    if context.json {
        let list = presets().iter().map(object).collect::<anyhow::Result<Vec<Value>>>()?;
        context.print_json(json!({"models": list}))?;
        return Ok(Answer::Yes);
    }
    let width = presets().iter().map(|preset| preset.name.len()).max().unwrap_or(0);
    let row = |name: &str, count: &str, size: &str, disk: &str| {
        context.print(format_args!("{name:width$}  {count:>10}  {size:>7}  {disk}"))
    };
    row("name", "parameters", "size", "on disk")?;
    for preset in presets() {
        let count = format!("{:.0} M", preset.parameter_count as f64 / 1e6);
        row(preset.name, &count, &size(download_size(preset)), &on_disk(preset)?)?;
    }
    context.note("Any other GPT-2: hf://OWNER/MODEL, kaggle://…, modelscope://…, or a path.");
    context.note("More about one: gpt2 models show NAME");
    Ok(Answer::Yes)
}

fn object(preset: &PresetInfo) -> anyhow::Result<Value> {
    Ok(json!({
        "name": preset.name,
        "description": preset.description,
        "parameter_count": preset.parameter_count,
        "download_size": download_size(preset),
        "sources": preset.sources,
        "cached_bytes": cached_bytes(preset.name)?,
    }))
}

/// State of a preset's files on this machine.
fn on_disk(preset: &PresetInfo) -> anyhow::Result<String> {
    Ok(match cached_bytes(preset.name)? {
        _ if preset.sources.is_empty() => "built in".to_owned(),
        0 => "no".to_owned(),
        bytes => size(bytes),
    })
}
