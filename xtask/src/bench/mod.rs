//! `cargo xtask bench`: this library beside the ones that it is measured against.

mod load;
mod once;
mod random_preset;
mod table;

use std::process::ExitCode;

use clap::Subcommand;

/// Measures this library beside KerasHub and transformers. Build with `--release`.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Time and memory to open a preset, and to convert it
    Load(load::Arguments),
    /// One run, in a process of its own; prints a JSON object
    #[command(hide = true)]
    Once(once::Arguments),
}

/// Runs one of the benchmarks.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match &arguments.command {
        Command::Load(arguments) => load::run(arguments),
        Command::Once(arguments) => once::run(arguments),
    }
}
