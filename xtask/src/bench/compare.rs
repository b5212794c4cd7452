//! `cargo xtask bench`: scenarios, rounds, contestants, results.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;

use anyhow::Context;
use clap::ValueEnum;
use serde_json::Value;

use super::cost::Cost;
use super::record::{self, Record};
use super::rivals::Rival;
use super::scenario::Scenario;
use super::size::Size;
use super::stage::Stage;
use super::{contest, environments, machine, report};

/// Times this library, and with `--peers` the others in turn with it.
#[derive(clap::Args)]
#[group(skip)]
pub struct Arguments {
    /// What to measure: names such as decode-1-ctx128, prefill-512, train-2x256-lora, or the
    /// groups all and growth
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    scenario: Vec<String>,
    /// Size of the model, which has random weights
    #[arg(long, value_enum, default_value_t = Size::Base)]
    size: Size,
    /// Times that everyone has a turn
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Measurements in each turn, of which the median counts, behind one that is thrown away
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    repetitions: u32,
    /// Compare with the others too, or with those named: --peers=ctranslate2,llama.cpp
    #[arg(
        long, value_enum, value_name = "NAME", num_args = 0.., require_equals = true,
        value_delimiter = ',', default_missing_values = RIVALS
    )]
    peers: Vec<Rival>,
    #[command(flatten)]
    pythons: environments::Options,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
    /// Keep the results: a new file of JSON lines, the first of which describes the machine
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
}

/// The names of all rivals, in the order in which they take turns.
const RIVALS: [&str; 5] = ["keras-hub", "transformers", "ctranslate2", "llama.cpp", "tiktoken"];

/// Runs the scenarios one by one, and says each result when it is known.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if cfg!(debug_assertions) {
        eprintln!("not a release build: the times say nothing; run `cargo run --release -p xtask`");
    }
    let scenarios = Scenario::select(&arguments.scenario)?;
    let threads = thread::available_parallelism().context("counting the processors")?.get();
    let config = arguments.size.config();
    let stage = Stage::new(&config, &arguments.peers, &arguments.pythons)?;
    let mut output = Output::new(arguments, &stage, threads)?;
    for (number, scenario) in scenarios.iter().enumerate() {
        eprintln!("{} of {}: {}", number + 1, scenarios.len(), scenario.name);
        let outcome = contest::play(
            &stage.ours(),
            &stage.contestants(&scenario.work),
            &stage.request(&scenario.work, arguments.repetitions, threads)?,
            Cost::of(&scenario.work, &config),
            arguments.rounds,
        )?;
        let unable = stage.unable(&scenario.work);
        for record in record::records(scenario, &outcome, &unable) {
            output.write(&record)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Where results go, each as soon as it is there: a long run may be stopped.
struct Output {
    json: bool,
    file: Option<(PathBuf, File)>,
}

impl Output {
    fn new(arguments: &Arguments, stage: &Stage, threads: usize) -> anyhow::Result<Self> {
        let mut output = Self { json: arguments.json, file: None };
        if let Some(path) = &arguments.record {
            let file = File::create_new(path)
                .with_context(|| format!("creating {}, which must be new", path.display()))?;
            output.file = Some((path.clone(), file));
            let size = arguments.size.to_possible_value().context("every size has a name")?;
            let (rounds, repetitions) = (arguments.rounds, arguments.repetitions);
            let versions = stage.versions()?;
            let machine =
                machine::describe(threads, size.get_name(), rounds, repetitions, versions);
            output.keep(&machine)?;
        }
        if !arguments.json {
            report::print_header();
        }
        Ok(output)
    }

    fn write(&mut self, record: &Record) -> anyhow::Result<()> {
        let json = record.to_json();
        if self.json {
            println!("{json}");
        } else {
            report::print(record);
        }
        self.keep(&json)
    }

    fn keep(&mut self, line: &Value) -> anyhow::Result<()> {
        let Some((path, file)) = &mut self.file else { return Ok(()) };
        writeln!(file, "{line}").with_context(|| format!("writing {}", path.display()))
    }
}
