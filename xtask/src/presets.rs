//! `cargo xtask presets`: the presets that have a name.

use std::process::ExitCode;

use gpt2_presets::{PresetInfo, presets};
use serde_json::{Value, json};

/// Lists the built-in presets.
#[derive(clap::Args)]
pub struct Arguments {
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

/// Prints a table: two lines for each preset.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if arguments.json {
        let list: Vec<Value> = presets().iter().map(object).collect();
        println!("{:#}", Value::Array(list));
        return Ok(ExitCode::SUCCESS);
    }
    let width = presets().iter().map(|preset| preset.name.len()).max().unwrap_or(0);
    println!("{:width$}  {:>10}  {:>8}  {:8}", "name", "parameters", "size", "on disk");
    for preset in presets() {
        let (name, description) = (preset.name, preset.description);
        let (count, size) = (millions(preset.parameter_count), megabytes(download_size(preset)));
        println!("{name:width$}  {count:>10}  {size:>8}  {:8}  {description}", on_disk(preset));
        if !preset.sources.is_empty() {
            println!("{:width$}  {:>10}  {:>8}  {:8}  {}", "", "", "", "", sources(preset));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn object(preset: &PresetInfo) -> Value {
    json!({
        "name": preset.name,
        "description": preset.description,
        "parameter_count": preset.parameter_count,
        "download_size": download_size(preset),
        "sources": preset.sources,
        "on_disk": on_disk(preset),
    })
}

fn sources(preset: &PresetInfo) -> String {
    preset.sources.join(", ")
}

/// About the size of its files in bytes: the weights are 32-bit floats.
fn download_size(preset: &PresetInfo) -> u64 {
    4 * preset.parameter_count
}

/// Whether the preset can be opened without a download.
fn on_disk(preset: &PresetInfo) -> &'static str {
    if preset.sources.is_empty() { "built in" } else { "no" }
}

fn millions(count: u64) -> String {
    format!("{:.0} M", count as f64 / 1e6)
}

fn megabytes(size: u64) -> String {
    format!("{:.0} MB", size as f64 / 1e6)
}
