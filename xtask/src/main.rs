//! Commands of the workspace: `check`, `structure`, `bench`, `convert-preset`, `devices`,
//! `presets`, `train-tokenizer`, `verify-preset`.

mod arrows;
mod bench;
mod cargo;
mod check;
mod convert_preset;
mod devices;
mod presets;
mod reference;
mod structure;
mod tidy;
mod train_tokenizer;
mod verify_preset;
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
    /// Runs the gate: tidy, crate arrows, circles, fmt, clippy, docs
    Check,
    /// Times this library beside the others and the limit of the hardware
    Bench(Box<bench::Arguments>),
    /// Writes a preset in another format
    ConvertPreset(convert_preset::Arguments),
    /// Lists the devices of this machine that this build can use
    Devices(devices::Arguments),
    /// Lists the built-in presets
    Presets(presets::Arguments),
    /// Counts files, functions and circles among modules
    Structure,
    /// Learns a vocabulary from text
    TrainTokenizer(train_tokenizer::Arguments),
    /// Compares a preset with a reference file; exits 1 beyond the tolerance, 2 on an error
    VerifyPreset(verify_preset::Arguments),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Check => check::run(),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::ConvertPreset(arguments) => convert_preset::run(&arguments),
        Command::Devices(arguments) => devices::run(&arguments),
        Command::Presets(arguments) => presets::run(&arguments),
        Command::Structure => structure::run(),
        Command::TrainTokenizer(arguments) => train_tokenizer::run(&arguments),
        Command::VerifyPreset(arguments) => verify_preset::run(&arguments),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::from(2)
    })
}
