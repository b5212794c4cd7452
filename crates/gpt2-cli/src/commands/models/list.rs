//! `gpt2 models list`: the presets that have a name.

use gpt2_presets::{PresetInfo, presets};
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::context::Context;

/// List the built-in presets.
#[derive(clap::Args)]
pub struct Arguments {}

/// Prints a table: two lines for each preset.
pub(crate) fn run(_arguments: &Arguments, context: &Context) -> anyhow::Result<Answer> {
    if context.json {
        let list = presets().iter().map(object).collect::<anyhow::Result<Vec<Value>>>()?;
        context.print_json(json!({"models": list}))?;
        return Ok(Answer::Yes);
    }
    let width = presets().iter().map(|preset| preset.name.len()).max().unwrap_or(0);
    context.print(format_args!(
        "{:width$}  {:>10}  {:>8}  {:8}",
        "name", "parameters", "size", "on disk"
    ))?;
    for preset in presets() {
        let (name, description) = (preset.name, preset.description);
        let (count, size) = (millions(preset.parameter_count), megabytes(download_size(preset)));
        context.print(format_args!(
            "{name:width$}  {count:>10}  {size:>8}  {:8}  {description}",
            on_disk(preset)?
        ))?;
        if !preset.sources.is_empty() {
            context.print(format_args!(
                "{:width$}  {:>10}  {:>8}  {:8}  {}",
                "",
                "",
                "",
                "",
                sources(preset)
            ))?;
        }
    }
    Ok(Answer::Yes)
}

fn object(preset: &PresetInfo) -> anyhow::Result<Value> {
    Ok(json!({
        "name": preset.name,
        "description": preset.description,
        "parameter_count": preset.parameter_count,
        "download_size": download_size(preset),
        "sources": preset.sources,
        "cached_bytes": cached_bytes(preset)?,
    }))
}

fn sources(preset: &PresetInfo) -> String {
    preset.sources.join(", ")
}

/// About the size of its files in bytes: the weights are 32-bit floats.
fn download_size(preset: &PresetInfo) -> u64 {
    4 * preset.parameter_count
}

/// Part of the preset that is on this machine.
fn on_disk(preset: &PresetInfo) -> anyhow::Result<String> {
    Ok(match cached_bytes(preset)? {
        _ if preset.sources.is_empty() => "built in".to_owned(),
        0 => "no".to_owned(),
        size => megabytes(size),
    })
}

/// Bytes that have been downloaded, by this library or by the hubs' Python clients.
fn cached_bytes(preset: &PresetInfo) -> anyhow::Result<u64> {
    #[cfg(feature = "hub")]
    return Ok(gpt2_presets::cached_files(preset.name, &gpt2_presets::HubOptions::new())?
        .iter()
        .map(|cached| cached.size)
        .sum());
    #[cfg(not(feature = "hub"))]
    {
        let _ = preset;
        Ok(0)
    }
}

fn millions(count: u64) -> String {
    format!("{:.0} M", count as f64 / 1e6)
}

fn megabytes(size: u64) -> String {
    format!("{:.0} MB", size as f64 / 1e6)
}
