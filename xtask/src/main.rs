//! Commands of the workspace: `check`, `structure`, `bench`, `convert-preset`, `devices`,
//! `presets`, `train-tokenizer`, `verify-preset`.

mod arrows;
mod bench;
mod cargo;
mod check;
mod one_build;
mod shared;
mod structure;
mod tidy;
mod words;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Commands for this workspace.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the checks: tidy, crate arrows, import cycles, fmt, clippy, docs
    Check,
    /// Compares this library's speed with other libraries and the hardware's limit
    Bench(Box<bench::Arguments>),
    /// Converts a preset to another format
    ConvertPreset(shared::Arguments),
    /// Lists the devices of this machine that this build can use
    Devices(shared::Arguments),
    /// Lists the built-in presets
    Presets(shared::Arguments),
    /// Counts files, functions and import cycles
    Structure,
    /// Trains a vocabulary on text
    TrainTokenizer(shared::Arguments),
    /// Compares a preset with a reference file; exits 1 beyond the tolerance, 2 on an error
    VerifyPreset(shared::Arguments),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Check => check::run(),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Structure => structure::run(),
        Command::ConvertPreset(arguments) => return shared::run(&["convert"], arguments),
        Command::Devices(arguments) => return shared::run(&["devices"], arguments),
        Command::Presets(arguments) => return shared::run(&["models", "list"], arguments),
        Command::TrainTokenizer(arguments) => {
            return shared::run(&["tokenizer", "train"], arguments);
        }
        Command::VerifyPreset(arguments) => return shared::run(&["verify"], arguments),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::from(2)
    })
}
