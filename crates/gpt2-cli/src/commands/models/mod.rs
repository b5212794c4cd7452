//! `gpt2 models`: built-in presets and downloaded files.

mod list;
#[cfg(feature = "hub")]
mod pull;
#[cfg(feature = "hub")]
mod remove;
mod show;

use clap::Subcommand;

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

/// A downloaded model that is no built-in preset.
struct Downloaded {
    handle: String,
    parameter_count: u64,
    /// Size of its files.
    bytes: u64,
}

/// Approximate download size of a preset in bytes: its weights are 32-bit floats.
fn download_size(parameter_count: u64) -> u64 {
    4 * parameter_count
}

/// Downloaded models that are no built-in presets.
#[cfg(feature = "hub")]
fn downloaded() -> Vec<Downloaded> {
    let is_built_in = |handle: &str| {
        gpt2_presets::presets().iter().any(|preset| preset.sources.contains(&handle))
    };
    let cached = gpt2_presets::cached_presets(&gpt2_presets::HubOptions::new()).into_iter();
    let others = cached.filter(|cached| !is_built_in(&cached.files.source));
    let downloaded = others.map(|cached| Downloaded {
        parameter_count: cached.config.parameter_count() as u64,
        bytes: cached.files.size,
        handle: cached.files.source,
    });
    downloaded.collect()
}

#[cfg(not(feature = "hub"))]
fn downloaded() -> Vec<Downloaded> {
    Vec::new()
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
