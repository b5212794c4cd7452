//! `gpt2 models pull`: download of a preset.

use clap_complete::ArgValueCompleter;
use gpt2_backbone::parse_device;
use serde_json::json;

use super::cached_bytes;
use crate::answer::Answer;
use crate::commands::completions::preset_names;
use crate::context::Context;
use crate::model;
use crate::values::size;

/// Download a preset
#[derive(clap::Args)]
pub struct Arguments {
    /// Built-in name, or handle hf://, kaggle:// or modelscope://
    #[arg(value_name = "PRESET", add = ArgValueCompleter::new(preset_names))]
    preset: String,
}

/// Downloads all files of a preset, and checks that they load.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<Answer> {
    let name = arguments.preset.as_str();
    let preset = model::open(name, context)?;
    let device = parse_device("cpu")?;
    // Loading fetches and reads all files that later commands need.
    preset.causal_lm(model::load_options(&device, context))?;
    let bytes = cached_bytes(name)?;
    if context.json {
        context.print_json(json!({"name": name, "cached_bytes": bytes}))?;
    } else if bytes == 0 {
        context.print(format_args!("{name}: on this machine without a download"))?;
    } else {
        context.print(format_args!("{name}: {} on disk", size(bytes)))?;
    }
    Ok(Answer::Yes)
}
