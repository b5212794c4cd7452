//! `cargo xtask bench`: comparison of this library with others.
//!
//! A [`scenario`] has a work and a [`cost`]. A [`compute_device`], a float type and a [`size`] are
//! its setting. [`setup`] writes the files that the runners need, the runners take turns in
//! [`rounds`], and [`record`]s keep the results. The [`worker`] is this library's runner; those of
//! the [`rivals`] are scripts, each in one of the [`environments`]. The [`chart`] is drawn from
//! kept records.

mod chart;
mod compare;
mod compute_device;
mod cost;
mod environments;
mod limits;
mod load;
mod machine;
mod once;
mod process;
#[path = "../../../crates/gpt2-tokenizer/benches/common/prose.rs"]
mod prose;
mod random_preset;
mod record;
mod report;
mod rivals;
mod rounds;
mod scenario;
mod setup;
mod size;
mod statistics;
mod table;
mod worker;

use std::process::ExitCode;

use clap::Subcommand;

/// Times this library, and with `--peers` KerasHub, transformers, CTranslate2 and llama.cpp in turn
/// with it. Build with `--release`.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Arguments {
    #[command(flatten)]
    compare: compare::Arguments,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Draws the ratios of kept records as a bar chart
    Chart(chart::Arguments),
    /// Measures time and memory of opening and converting a preset
    Load(load::Arguments),
    /// Runs one case of `load` in a process of its own; prints a JSON object
    #[command(hide = true)]
    Once(once::Arguments),
    /// Runs one turn of this library in a process of its own; prints a JSON object
    #[command(hide = true)]
    Worker(worker::Arguments),
}

/// Runs one of the benchmarks.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match &arguments.command {
        None => compare::run(&arguments.compare),
        Some(Command::Chart(arguments)) => chart::run(arguments),
        Some(Command::Load(arguments)) => load::run(arguments),
        Some(Command::Once(arguments)) => once::run(arguments),
        Some(Command::Worker(arguments)) => worker::run(arguments),
    }
}
