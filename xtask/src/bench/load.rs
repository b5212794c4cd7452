//! `cargo xtask bench load`: time and memory of opening and converting a preset.
//!
//! Every run is a separate process. The cases take turns, so that a change of the machine affects
//! all of them. The files are in the page cache: they were just written, and a first round is
//! discarded.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::Context;
use gpt2_presets::{Preset, Save, SaveOptions, WeightDtype};

use super::size::Size;
use super::table::{self, Check, Measurements};
use super::{process, random_preset};

/// Times loading and conversion, and KerasHub and transformers if their Pythons are given.
#[derive(clap::Args)]
pub struct Arguments {
    /// Preset to load [default: a random model of GPT-2 base's size in a temporary folder]
    #[arg(long)]
    preset: Option<String>,
    /// A Python with KerasHub
    #[arg(long, value_name = "FILE")]
    keras_python: Option<PathBuf>,
    /// A Python with transformers and torch
    #[arg(long, value_name = "FILE")]
    transformers_python: Option<PathBuf>,
    /// Number of runs of each case
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

const OURS_SAFETENSORS: &str = "open safetensors, f32";
const OURS_HALF: &str = "open safetensors, f16";
const OURS_HDF5: &str = "open .weights.h5, f32";
const TO_KERAS: &str = "convert transformers to keras";
const TO_TRANSFORMERS: &str = "convert keras to transformers";
const COPY: &str = "copy model.safetensors";
const KERAS_HUB: &str = "KerasHub from_preset";
const TRANSFORMERS: &str = "transformers from_pretrained";

/// Process to run in each round.
struct Case {
    name: &'static str,
    program: PathBuf,
    arguments: Vec<OsString>,
    /// File or folder that the run writes.
    output: Option<PathBuf>,
}

/// Writes the models, runs the cases, and prints the results.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if cfg!(debug_assertions) {
        eprintln!(
            "not a release build: the times are meaningless; run `cargo run --release -p xtask`"
        );
    }
    let folder = tempfile::tempdir().context("cannot create a folder for the models")?;
    let (cases, weights) = measure(arguments, folder.path())?;
    folder.close().context("cannot remove the folder of the models")?;
    let checks = checks(&cases, weights);
    if arguments.json {
        println!("{:#}", table::to_json(&cases, &checks, weights));
    } else {
        table::print(&cases, &checks, weights);
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs all cases in turn, and returns the measurements and the size of the weights.
fn measure(arguments: &Arguments, folder: &Path) -> anyhow::Result<(Vec<Measurements>, f64)> {
    let [f32, f16, keras] = ["f32", "f16", "keras"].map(|name| folder.join(name));
    match &arguments.preset {
        Some(preset) => Preset::open(preset)?.export_to_transformers(&f32)?,
        None => random_preset::write(&f32, &Size::Base.config())?,
    }
    let preset = Preset::open(process::utf8(&f32)?)?;
    let half = SaveOptions::transformers().with_dtype(WeightDtype::F16);
    preset.save(&f16, &half)?;
    preset.save_to_preset(&keras)?;
    let weights = preset.config().parameter_count() as f64 * 4.0;

    let cases = cases(arguments, folder)?;
    let mut measurements: Vec<_> = cases
        .iter()
        .map(|case| Measurements { name: case.name, seconds: Vec::new(), peaks: Vec::new() })
        .collect();
    for round in 0..=arguments.runs {
        for (case, measurements) in cases.iter().zip(&mut measurements) {
            let (seconds, peak) = case.run()?;
            if round > 0 {
                measurements.seconds.push(seconds);
                measurements.peaks.extend(peak);
            }
        }
    }
    Ok((measurements, weights))
}

fn cases(arguments: &Arguments, folder: &Path) -> anyhow::Result<Vec<Case>> {
    let xtask = std::env::current_exe().context("cannot find this program")?;
    let [f32, f16, keras] = ["f32", "f16", "keras"].map(|name| folder.join(name));
    let output = folder.join("output");
    let ours = |name, what: &str, source: &Path, output: Option<&PathBuf>| Case {
        name,
        program: xtask.clone(),
        arguments: ["bench", "once", what]
            .map(OsString::from)
            .into_iter()
            .chain([source.into()])
            .chain(output.map(OsString::from))
            .collect(),
        output: output.cloned(),
    };
    let mut cases = vec![
        ours(OURS_SAFETENSORS, "open", &f32, None),
        ours(OURS_HALF, "open", &f16, None),
        ours(OURS_HDF5, "open", &keras, None),
        ours(COPY, "copy", &f32.join("model.safetensors"), Some(&output)),
        ours(TO_KERAS, "to-keras", &f32, Some(&output)),
        ours(TO_TRANSFORMERS, "to-transformers", &keras, Some(&output)),
    ];
    let mut rival = |name, python: &Option<PathBuf>, library: &str, folder: &Path| {
        if let Some(python) = python {
            let script = include_str!("load.py");
            let arguments = vec!["-c".into(), script.into(), library.into(), folder.into()];
            cases.push(Case { name, program: python.clone(), arguments, output: None });
        }
    };
    rival(KERAS_HUB, &arguments.keras_python, "keras", &keras);
    rival(TRANSFORMERS, &arguments.transformers_python, "transformers", &f32);
    Ok(cases)
}

impl Case {
    /// Runs the case once. Returns the seconds and, if known, the peak memory in bytes.
    fn run(&self) -> anyhow::Result<(f64, Option<f64>)> {
        let finished = process::run(Command::new(&self.program).args(&self.arguments));
        let json = finished.with_context(|| self.name)?.json;
        let seconds = json["seconds"].as_f64().context("a run prints its seconds")?;
        match &self.output {
            Some(path) if path.is_dir() => fs::remove_dir_all(path)?,
            Some(path) => fs::remove_file(path)?,
            None => {}
        }
        Ok((seconds, json["peak_bytes"].as_f64()))
    }
}

/// The project's limits for GPT-2 base, and ratios to other libraries that were measured.
fn checks(cases: &[Measurements], weights: f64) -> Vec<Check> {
    let find = |name| cases.iter().find(|case| case.name == name);
    let mut checks = Vec::new();
    let mut check = |name, value: Option<f64>, limit| {
        checks.extend(value.map(|value| Check { name, value, limit }));
    };
    let time = |name| find(name).and_then(Measurements::time);
    let peak = |name| Some(find(name)?.peak()? / weights);
    let ratio = |one, other| Some(time(one)? / time(other)?);
    check("safetensors: seconds until the model is ready", time(OURS_SAFETENSORS), Some(0.3));
    check("safetensors: memory / weights", peak(OURS_SAFETENSORS), Some(1.15));
    check(".weights.h5: time / safetensors'", ratio(OURS_HDF5, OURS_SAFETENSORS), Some(2.0));
    check("convert to keras: time / copying", ratio(TO_KERAS, COPY), Some(3.0));
    check("convert to transformers: time / copying", ratio(TO_TRANSFORMERS, COPY), Some(3.0));
    check("convert to keras: memory / weights", peak(TO_KERAS), Some(1.2));
    check("convert to transformers: memory / weights", peak(TO_TRANSFORMERS), Some(1.2));
    check("KerasHub: time / ours from .weights.h5", ratio(KERAS_HUB, OURS_HDF5), None);
    let others = ratio(TRANSFORMERS, OURS_SAFETENSORS);
    check("transformers: time / ours from safetensors", others, None);
    checks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_memory_is_not_checked() {
        let checked = |peaks| {
            let case = Measurements { name: OURS_SAFETENSORS, seconds: vec![0.1], peaks };
            checks(&[case], 2.0).into_iter().map(|check| check.value).collect::<Vec<_>>()
        };
        assert_eq!(checked(vec![3.0]), [0.1, 1.5]);
        assert_eq!(checked(vec![]), [0.1]);
    }
}
