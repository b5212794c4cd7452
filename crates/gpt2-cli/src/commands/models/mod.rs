//! `gpt2 models`: built-in presets and downloaded files.

mod list;
#[cfg(feature = "hub")]
mod pull;
#[cfg(feature = "hub")]
mod remove;
mod show;

use clap::Subcommand;
use gpt2_presets::PresetInfo;

use crate::answer::Answer;
use crate::context::Context;

/// List presets, and manage downloaded ones
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    List(list::Arguments),
    Show(show::Arguments),
    #[cfg(feature = "hub")]
    Pull(pull::Arguments),
    #[cfg(feature = "hub")]
    Remove(remove::Arguments),
}

impl Arguments {
    /// Name in JSON.
    pub(crate) fn name(&self) -> &'static str {
        match self.command {
            Command::List(_) => "models list",
            Command::Show(_) => "models show",
            #[cfg(feature = "hub")]
            Command::Pull(_) => "models pull",
            #[cfg(feature = "hub")]
            Command::Remove(_) => "models remove",
        }
    }
}

/// Runs a subcommand.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<Answer> {
    match &arguments.command {
        Command::List(arguments) => list::run(arguments, context),
        Command::Show(arguments) => show::run(arguments, context),
        #[cfg(feature = "hub")]
        Command::Pull(arguments) => pull::run(arguments, context),
        #[cfg(feature = "hub")]
        Command::Remove(arguments) => remove::run(arguments, context),
    }
}

/// Approximate download size of a preset in bytes: its weights are 32-bit floats.
fn download_size(preset: &PresetInfo) -> u64 {
    4 * preset.parameter_count
}

/// Size in bytes of a preset's files that this library or the hubs' Python clients have downloaded.
#[cfg(feature = "hub")]
fn cached_bytes(preset: &str) -> anyhow::Result<u64> {
    let cached = gpt2_presets::cached_files(preset, &gpt2_presets::HubOptions::new())?;
    Ok(cached.iter().map(|cached| cached.size).sum())
}

#[cfg(not(feature = "hub"))]
fn cached_bytes(_preset: &str) -> anyhow::Result<u64> {
    Ok(0)
}
