//! `gpt2 models show`: a preset's source, files and shape.

use clap_complete::ArgValueCompleter;
use gpt2_presets::{local_size, presets};
use serde_json::json;

use super::{cached_bytes, download_size};
use crate::answer::Answer;
use crate::commands::completions::preset_names;
use crate::context::Context;
use crate::model;
use crate::values::size;

/// Show a preset: its shape, its source, its files on this machine
#[derive(clap::Args)]
pub struct Arguments {
    /// Built-in name, handle, or path
    #[arg(value_name = "PRESET", add = ArgValueCompleter::new(preset_names))]
    preset: String,
    /// Open the preset to read its config, which is downloaded if it is not on this machine
    #[arg(long)]
    open: bool,
}

/// Prints names and values.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<Answer> {
    let name = arguments.preset.as_str();
    let info = presets().iter().find(|preset| preset.name == name);
    let cached = cached_bytes(name)?;
    let local = local_size(name)?;
    let is_here = cached > 0 || info.is_some_and(|info| info.sources.is_empty());
    let opens = arguments.open || is_here || info.is_none();
    let preset = opens.then(|| model::open(name, context)).transpose()?;
    let config = preset.as_ref().map(|preset| preset.config());
    let format = preset.as_ref().map(|preset| preset.format().name());
    if context.json {
        context.print_json(json!({
            "name": name,
            "description": info.map(|info| info.description),
            "parameter_count": info.map(|info| info.parameter_count),
            "sources": info.map(|info| info.sources),
            "cached_bytes": cached,
            "local_bytes": local,
            "format": format,
            "config": config.map(serde_json::to_value).transpose()?,
        }))?;
        return Ok(Answer::Yes);
    }
    let row = |key: &str, value: &str| context.print(format_args!("{key:12}  {value}"));
    row("name", name)?;
    if let Some(info) = info {
        row("description", info.description)?;
        row("parameters", &info.parameter_count.to_string())?;
        row("size", &size(download_size(info.parameter_count)))?;
        for source in info.sources {
            row("source", source)?;
        }
    }
    row("on disk", &on_disk(local.unwrap_or(cached), is_here))?;
    if let (Some(config), Some(format)) = (config, format) {
        row("format", format)?;
        for (key, value) in [
            ("layers", config.num_layers),
            ("heads", config.num_heads),
            ("hidden", config.hidden_dim),
            ("vocabulary", config.vocabulary_size),
            ("positions", config.max_sequence_length),
        ] {
            row(key, &value.to_string())?;
        }
    }
    Ok(Answer::Yes)
}

fn on_disk(bytes: u64, is_here: bool) -> String {
    match bytes {
        0 if is_here => "built in".to_owned(),
        0 => "nothing downloaded".to_owned(),
        bytes => size(bytes),
    }
}
