//! `gpt2 models list`: the built-in presets, and downloaded ones.

use gpt2_presets::{PresetInfo, presets};
use serde_json::{Value, json};

use super::{Downloaded, cached_bytes, download_size, downloaded};
use crate::answer::Answer;
use crate::context::Context;
use crate::values::size;

/// List the built-in presets, and all GPT-2 models that are downloaded
#[derive(clap::Args)]
pub struct Arguments {}

/// Prints a table of at most 80 columns, wider only for a long handle.
pub(crate) fn run(_arguments: &Arguments, context: &Context) -> anyhow::Result<Answer> {
    let others = downloaded();
    if context.json {
        let list = presets().iter().map(object);
        let list = list.chain(others.iter().map(|other| Ok(object_of_other(other))));
        let list = list.collect::<anyhow::Result<Vec<Value>>>()?;
        context.print_json(json!({"models": list}))?;
        return Ok(Answer::Yes);
    }
    let names = presets().iter().map(|preset| preset.name.len());
    let handles = others.iter().map(|other| other.handle.len()).filter(|width| *width <= WIDTH);
    let width = names.chain(handles).max().unwrap_or(0);
    let row = |name: &str, count: &str, size: &str, disk: &str| {
        context.print(format_args!("{name:width$}  {count:>10}  {size:>7}  {disk}"))
    };
    row("name", "parameters", "size", "on disk")?;
    for preset in presets() {
        let bytes = size(download_size(preset.parameter_count));
        row(preset.name, &millions(preset.parameter_count), &bytes, &on_disk(preset)?)?;
    }
    for Downloaded { handle, parameter_count, bytes } in &others {
        let all = size(download_size(*parameter_count));
        row(handle, &millions(*parameter_count), &all, &size(*bytes))?;
    }
    context.note("Any other GPT-2: hf://OWNER/MODEL, kaggle://…, modelscope://…, or a path.");
    context.note("More about one: gpt2 models show NAME");
    Ok(Answer::Yes)
}

/// Largest width of the first column for which the table fits in 80 columns.
const WIDTH: usize = 48;

fn millions(count: u64) -> String {
    format!("{:.0} M", count as f64 / 1e6)
}

fn object(preset: &PresetInfo) -> anyhow::Result<Value> {
    Ok(json!({
        "name": preset.name,
        "description": preset.description,
        "parameter_count": preset.parameter_count,
        "download_size": download_size(preset.parameter_count),
        "sources": preset.sources,
        "cached_bytes": cached_bytes(preset.name)?,
    }))
}

fn object_of_other(other: &Downloaded) -> Value {
    json!({
        "name": other.handle,
        "description": null,
        "parameter_count": other.parameter_count,
        "download_size": download_size(other.parameter_count),
        "sources": [other.handle],
        "cached_bytes": other.bytes,
    })
}

/// State of a preset's files on this machine.
fn on_disk(preset: &PresetInfo) -> anyhow::Result<String> {
    Ok(match cached_bytes(preset.name)? {
        _ if preset.sources.is_empty() => "built in".to_owned(),
        0 => "no".to_owned(),
        bytes => size(bytes),
    })
}
