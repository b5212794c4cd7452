//! One measured run in a process of its own, whose peak memory is then the run's.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context;
use clap::Subcommand;
use gpt2_presets::{Preset, Save};
use serde_json::json;

use super::process;

/// Measured operation.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Opens a preset: model and tokenizer
    Open { preset: String },
    /// Converts a folder to Keras' format, synced to the disk
    ToKeras { preset: String, destination: PathBuf },
    /// Converts a folder to transformers' format, synced to the disk
    ToTransformers { preset: String, destination: PathBuf },
    /// Copies a file, synced to the disk
    Copy { file: PathBuf, destination: PathBuf },
}

/// Prints the seconds, and the process's peak size in bytes.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let device = gpt2_backbone::parse_device("cpu")?;
    let start = Instant::now();
    let seconds = match &arguments.command {
        Command::Open { preset } => {
            let model = Preset::open(preset)?.causal_lm(&device)?;
            let seconds = start.elapsed();
            // The drop is not timed.
            drop(model);
            seconds
        }
        Command::ToKeras { preset, destination } => {
            Preset::open(preset)?.save_to_preset(destination)?;
            start.elapsed()
        }
        Command::ToTransformers { preset, destination } => {
            Preset::open(preset)?.export_to_transformers(destination)?;
            start.elapsed()
        }
        Command::Copy { file, destination } => {
            copy(file, destination)?;
            start.elapsed()
        }
    };
    println!("{}", json!({"seconds": seconds.as_secs_f64(), "peak_bytes": process::peak_bytes()}));
    Ok(ExitCode::SUCCESS)
}

/// Copies every byte and syncs, as a save does. `fs::copy` might share the blocks instead.
fn copy(file: &Path, destination: &Path) -> anyhow::Result<()> {
    let mut source = File::open(file).with_context(|| format!("cannot open {}", file.display()))?;
    let mut copy = File::create(destination)
        .with_context(|| format!("cannot create {}", destination.display()))?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = source.read(&mut buffer).context("cannot read the file")?;
        if count == 0 {
            break;
        }
        copy.write_all(&buffer[..count]).context("cannot write the copy")?;
    }
    Ok(copy.sync_all()?)
}
