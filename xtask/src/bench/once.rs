//! One measured run, in a process that does nothing else, so that its peak of memory is the run's.

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

/// Operation that is measured.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// From a path to a model that is ready, tokenizer included
    Open { preset: String },
    /// From a folder to one in Keras' format, on the disk
    ToKeras { preset: String, destination: PathBuf },
    /// From a folder to one in transformers' format, on the disk
    ToTransformers { preset: String, destination: PathBuf },
    /// From a file to another, on the disk
    Copy { file: PathBuf, destination: PathBuf },
}

/// Prints the seconds, and the largest size of the process in bytes.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let device = gpt2_backbone::parse_device("cpu")?;
    let start = Instant::now();
    let seconds = match &arguments.command {
        Command::Open { preset } => {
            let model = Preset::open(preset)?.causal_lm(&device)?;
            let seconds = start.elapsed();
            // Its end is not part of the time.
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

/// Copies every byte, down to the disk as a save does. `fs::copy` may share the blocks instead.
fn copy(file: &Path, destination: &Path) -> anyhow::Result<()> {
    let mut source = File::open(file).with_context(|| format!("opening {}", file.display()))?;
    let mut copy =
        File::create(destination).with_context(|| format!("creating {}", destination.display()))?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = source.read(&mut buffer).context("reading")?;
        if count == 0 {
            break;
        }
        copy.write_all(&buffer[..count]).context("writing")?;
    }
    Ok(copy.sync_all()?)
}
