//! `cargo xtask bench`: all scenarios for each size and type, and output of the results.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;

use anyhow::Context;
use gpt2_backbone::WeightDtype;
use serde_json::Value;

use super::compute_device::ComputeDevice;
use super::cost::{Cost, Rates};
use super::machine::{self, Protocol};
use super::record::{self, Record, Setting};
use super::rivals::Rival;
use super::rounds::{Absence, Outcome, Runner};
use super::scenario::{Scenario, Work};
use super::setup::Setup;
use super::size::Size;
use super::{environments, report, rounds};

/// Times this library, and with `--peers` other libraries in turn with it.
#[derive(clap::Args)]
#[group(skip)]
pub struct Arguments {
    /// Scenarios to measure: names such as decode-1-ctx128, prefill-512, train-2x256-lora, or the
    /// groups all, growth and gpu [default: all, on a GPU gpu]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    scenario: Vec<String>,
    /// Device to compute on: cpu, vulkan, cuda:0, … (`cargo xtask devices` lists them)
    #[arg(long, default_value = "cpu", value_name = "NAME")]
    device: String,
    /// Float types, each measured separately
    #[arg(
        long, value_name = "TYPE", value_delimiter = ',',
        default_values_t = [WeightDtype::F32]
    )]
    dtype: Vec<WeightDtype>,
    /// Sizes of the model, whose weights are random
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Size::Base])]
    size: Vec<Size>,
    /// Number of rounds; each library has one turn a round
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Number of measurements in a turn, whose median counts; a first one (three on a GPU) is
    /// discarded
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    repetitions: u32,
    /// Compare with all other libraries, or with some: --peers=ctranslate2,llama.cpp
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
    /// Write the results to a new file of JSON lines, the first of which describes the machine
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
}

/// Names of all rivals, in the order of their turns.
const RIVALS: [&str; 5] = ["keras-hub", "transformers", "ctranslate2", "llama.cpp", "tiktoken"];

/// Runs the scenarios one by one, and prints each result at once.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if cfg!(debug_assertions) {
        eprintln!(
            "not a release build: the times are meaningless; run `cargo run --release -p xtask`"
        );
    }
    let device = ComputeDevice::find(&arguments.device)?;
    let scenarios = Scenario::select(&arguments.scenario, device.is_cpu)?;
    let threads = thread::available_parallelism().context("cannot count the processors")?.get();
    let mut setup = Setup::new(&device, &arguments.peers, &arguments.pythons)?;
    let mut output = Output::new(arguments, &device, &setup, threads)?;
    for &size in &arguments.size {
        eprintln!("writing the model of size {}", size.name());
        setup.set_size(size, &arguments.dtype)?;
        for &dtype in &arguments.dtype {
            let setting = Setting { device: device.clone(), dtype, size };
            measure(arguments, &setup, &setting, &scenarios, threads, &mut output)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Measures all scenarios with one size and type.
fn measure(
    arguments: &Arguments,
    setup: &Setup,
    setting: &Setting,
    scenarios: &[Scenario],
    threads: usize,
    output: &mut Output,
) -> anyhow::Result<()> {
    let ours = setup.ours();
    let request = |work: &_| setup.request(work, setting.dtype, arguments.repetitions, threads);
    // A CPU may be shared, so its rates are measured in each round; a GPU's are measured once.
    let kept = match setting.device.is_cpu {
        true => None,
        false => device_rates(setting, &ours, &request(&Work::Load)?, output),
    };
    for (number, scenario) in scenarios.iter().enumerate() {
        let (size, dtype) = (setting.size.name(), setting.dtype.name());
        eprintln!("{size}, {dtype}, {} of {}: {}", number + 1, scenarios.len(), scenario.name);
        let (outcome, unable) = match scenario.left_out(setting.size, &arguments.scenario) {
            Some(reason) => (Outcome::none(Absence::Cannot(reason.to_owned())), Vec::new()),
            None => {
                let request = request(&scenario.work)?;
                let outcome = rounds::run(
                    &ours,
                    &setup.rival_runners(&scenario.work, setting.dtype),
                    &request,
                    Cost::of(&scenario.work, &setting.size.config(), setting.dtype),
                    &|| kept.map_or_else(|| rounds::rates(&ours, &request), Ok),
                    arguments.rounds,
                );
                (outcome, setup.unable(&scenario.work))
            }
        };
        for record in record::records(setting, scenario, &outcome, &unable) {
            output.write(&record)?;
        }
    }
    Ok(())
}

/// Measures and prints a device's rates, or prints why they cannot be measured.
fn device_rates(
    setting: &Setting,
    ours: &Runner,
    request: &Value,
    output: &Output,
) -> Option<Rates> {
    match rounds::rates(ours, request) {
        Ok(rates) => {
            output.tell_rates(setting, rates);
            Some(rates)
        }
        Err(error) => {
            eprintln!("cannot measure the device's rates: {error:#}");
            None
        }
    }
}

/// Destinations of the results. Each result is written at once, because a long run may be stopped.
struct Output {
    json: bool,
    file: Option<(PathBuf, File)>,
}

impl Output {
    fn new(
        arguments: &Arguments,
        device: &ComputeDevice,
        setup: &Setup,
        threads: usize,
    ) -> anyhow::Result<Self> {
        let mut output = Self { json: arguments.json, file: None };
        if let Some(path) = &arguments.record {
            let file = File::create_new(path)
                .with_context(|| format!("cannot create {}, which must be new", path.display()))?;
            output.file = Some((path.clone(), file));
            let protocol = Protocol {
                device,
                sizes: &arguments.size,
                dtypes: &arguments.dtype,
                rounds: arguments.rounds,
                repetitions: arguments.repetitions,
                threads,
            };
            output.keep(&machine::describe(&protocol, setup.versions()?))?;
        }
        if !arguments.json {
            report::print_header();
        }
        Ok(output)
    }

    /// Records contain the rates too.
    fn tell_rates(&self, setting: &Setting, rates: Rates) {
        if !self.json {
            report::print_rates(setting, rates);
        }
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
        writeln!(file, "{line}").with_context(|| format!("cannot write {}", path.display()))
    }
}
