//! Contestants take turns at one work, round by round, each time in a process of their own.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;
use serde_json::{Value, json};

use super::cost::{Cost, Rates};
use super::process;
use super::statistics::median;

/// A library in one of its modes.
pub struct Contestant {
    pub name: String,
    /// Empty where there is one way only.
    pub mode: &'static str,
    pub program: PathBuf,
    /// The request comes behind them.
    pub arguments: Vec<OsString>,
    pub model: PathBuf,
}

/// What a contestant has shown, round by round.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Series {
    /// Seconds, or bytes in a second: the medians of each round's repetitions.
    pub values: Vec<f64>,
    /// The most memory of each process in bytes, where it is known.
    pub peaks: Vec<f64>,
}

/// How a rival has done: its fastest mode, or what went wrong.
#[derive(Debug, PartialEq)]
pub struct Performance {
    pub name: String,
    pub series: Result<Series, String>,
}

/// All that came of one scenario.
pub struct Outcome {
    pub ours: Series,
    /// Seconds that the machine's rates allow, round by round; empty where they bound nothing.
    pub limits: Vec<f64>,
    pub rivals: Vec<Performance>,
}

impl Contestant {
    fn run(&self, request: &Value, series: &mut Series) -> anyhow::Result<()> {
        let mut request = request.clone();
        request["mode"] = self.mode.into();
        request["model"] = self.model.to_str().context("the model's path must be UTF-8")?.into();
        let threads = request["threads"].to_string();
        let finished = process::run(
            Command::new(&self.program)
                .args(&self.arguments)
                .arg(request.to_string())
                .envs(["OMP_NUM_THREADS", "RAYON_NUM_THREADS"].map(|name| (name, &threads))),
        )
        .with_context(|| format!("running {}", self.title()))?;
        let values = finished.json["values"].as_array().context("a worker prints its values")?;
        let values: Vec<f64> = values.iter().filter_map(Value::as_f64).collect();
        // Without a value of its own, what counts is the time until it has spoken.
        series.values.push(median(&values).unwrap_or(finished.seconds));
        series.peaks.extend(finished.json["peak_bytes"].as_f64());
        Ok(())
    }

    fn title(&self) -> String {
        match self.mode {
            "" => self.name.clone(),
            mode => format!("{}, {mode}", self.name),
        }
    }
}

/// What the machine does in a second, just now.
fn rates(ours: &Contestant, threads: usize) -> anyhow::Result<Rates> {
    let request = json!({"task": "limits", "threads": threads});
    let mut command = Command::new(&ours.program);
    let json = process::run(command.args(&ours.arguments).arg(request.to_string()))?.json;
    let rate = |index: usize| json["values"][index].as_f64().context("a worker prints two rates");
    Ok(Rates { bytes: rate(0)?, operations: rate(1)? })
}

/// Has everyone do the work `rounds` times. A rival that fails is left out from then on.
pub fn play(
    ours: &Contestant,
    rivals: &[Vec<Contestant>],
    request: &Value,
    cost: Option<Cost>,
    rounds: u32,
) -> anyhow::Result<Outcome> {
    let threads = request["threads"].as_u64().context("a request has threads")? as usize;
    let (mut series, mut limits) = (Series::default(), Vec::new());
    let mut modes: Vec<(&Contestant, anyhow::Result<Series>)> =
        rivals.iter().flatten().map(|mode| (mode, Ok(Series::default()))).collect();
    for _ in 0..rounds {
        if let Some(cost) = cost {
            limits.push(cost.seconds(rates(ours, threads)?));
        }
        ours.run(request, &mut series)?;
        for (contestant, result) in &mut modes {
            let Ok(series) = result else { continue };
            if let Err(error) = contestant.run(request, series) {
                eprintln!("left out from here on: {error:#}");
                *result = Err(error);
            }
        }
    }
    let mut modes = modes.into_iter();
    let rivals = rivals.iter().map(|rival| {
        let results = modes.by_ref().take(rival.len());
        let results = results
            .map(|(mode, result)| (mode.title(), result.map_err(|error| format!("{error:#}"))));
        fastest(results.collect())
    });
    Ok(Outcome { ours: series, limits, rivals: rivals.collect() })
}

/// Of some modes, all of which count seconds, the one with the least median; of modes that all
/// failed, the first.
fn fastest(modes: Vec<(String, Result<Series, String>)>) -> Performance {
    let key = |series: &Result<Series, String>| match series {
        Ok(series) => median(&series.values).unwrap_or(f64::INFINITY),
        Err(_) => f64::INFINITY,
    };
    let best = modes.into_iter().min_by(|left, right| key(&left.1).total_cmp(&key(&right.1)));
    let (name, series) = best.expect("a rival has a mode");
    Performance { name, series }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fastest_mode_counts_and_one_that_failed_does_not() {
        let series = |values: &[f64]| Ok(Series { values: values.to_vec(), peaks: Vec::new() });
        let modes = vec![
            ("a".to_owned(), Err("no compiler".to_owned())),
            ("b".to_owned(), series(&[3.0, 9.0, 4.0])),
            ("c".to_owned(), series(&[5.0, 1.0, 5.0])),
        ];
        assert_eq!(fastest(modes).name, "b");
        let failed = fastest(vec![("a".to_owned(), Err("no compiler".to_owned()))]);
        assert_eq!(failed.series, Err("no compiler".to_owned()));
    }
}
