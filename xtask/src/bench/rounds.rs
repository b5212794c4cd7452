//! Rounds in which the runners take turns at one work, each time in a process of its own.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;
use serde_json::Value;

use super::cost::{Cost, Rates};
use super::process::{self, Finished};
use super::statistics::median;

/// Setting with which burn keeps compiled and tuned kernels in the current folder.
const LOCAL_CACHE: &str = "[environment]\npath = \"local\"\n";
/// Variables that stop the drivers of NVIDIA and Mesa from keeping kernels on the disk.
const NO_DRIVER_CACHES: [(&str, &str); 3] = [
    ("__GL_SHADER_DISK_CACHE", "0"),
    ("CUDA_CACHE_DISABLE", "1"),
    ("MESA_SHADER_CACHE_DISABLE", "true"),
];

/// A library in one of its modes.
pub struct Runner {
    pub name: String,
    /// Mode of the library. Empty if it has only one.
    pub mode: &'static str,
    pub program: PathBuf,
    /// Arguments before the request.
    pub arguments: Vec<OsString>,
    pub model: PathBuf,
    /// Name for the program.
    pub device: String,
    /// Whether kernels are compiled and tuned anew each time, as in the first run on a machine.
    pub forgets: bool,
}

/// Measurements of a runner in all rounds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Series {
    /// Seconds, or bytes a second: the median of each round's repetitions.
    pub values: Vec<f64>,
    /// Peak memory of each process in bytes, if known.
    pub peaks: Vec<f64>,
}

/// Reason why a runner has no results.
#[derive(Debug, Clone, PartialEq)]
pub enum Absence {
    Cannot(String),
    Failed(String),
}

/// Result of a rival's fastest mode.
#[derive(Debug, PartialEq)]
pub struct RivalResult {
    pub name: String,
    pub series: Result<Series, Absence>,
}

/// Results of one scenario.
pub struct Outcome {
    pub ours: Result<Series, Absence>,
    /// Rates of the machine in each round. Empty for work that they do not limit.
    pub rates: Vec<Rates>,
    /// Seconds that follow from these rates.
    pub limits: Vec<f64>,
    pub rivals: Vec<RivalResult>,
}

impl Outcome {
    /// No results, for this reason.
    pub fn none(reason: Absence) -> Self {
        Self { ours: Err(reason), rates: Vec::new(), limits: Vec::new(), rivals: Vec::new() }
    }
}

impl From<anyhow::Error> for Absence {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(format!("{error:#}"))
    }
}

impl fmt::Display for Absence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cannot(reason) => formatter.write_str(reason),
            Self::Failed(reason) => write!(formatter, "failed: {reason}"),
        }
    }
}

impl Runner {
    /// Runs one turn and adds its result. A runner that has failed is skipped.
    fn take_turn(&self, request: &Value, result: &mut Result<Series, Absence>) {
        let Ok(series) = result else { return };
        if let Err(absence) = self.run(request, series) {
            eprintln!("{}, skipped from now on: {absence}", self.title());
            *result = Err(absence);
        }
    }

    fn run(&self, request: &Value, series: &mut Series) -> Result<(), Absence> {
        let finished = self.ask(request)?;
        if let Some(reason) = finished.json["cannot"].as_str() {
            return Err(Absence::Cannot(reason.to_owned()));
        }
        let values = finished.json["values"].as_array().context("a worker prints its values")?;
        let values: Vec<f64> = values.iter().filter_map(Value::as_f64).collect();
        // A process without values is measured by the time until its answer.
        series.values.push(median(&values).unwrap_or(finished.seconds));
        series.peaks.extend(finished.json["peak_bytes"].as_f64());
        Ok(())
    }

    /// Answer of the runner's process to a request.
    fn ask(&self, request: &Value) -> anyhow::Result<Finished> {
        let mut request = request.clone();
        request["mode"] = self.mode.into();
        request["device"] = self.device.as_str().into();
        request["model"] = process::utf8(&self.model)?.into();
        let threads = request["threads"].to_string();
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .arg(request.to_string())
            .envs(["OMP_NUM_THREADS", "RAYON_NUM_THREADS"].map(|name| (name, &threads)));
        if !self.forgets {
            return process::run(&mut command);
        }
        let folder = tempfile::tempdir().context("cannot create a folder without kept kernels")?;
        let settings = folder.path().join("cubecl.toml");
        fs::write(&settings, LOCAL_CACHE)
            .with_context(|| format!("cannot write {}", settings.display()))?;
        process::run(command.current_dir(&folder).envs(NO_DRIVER_CACHES))
    }

    fn title(&self) -> String {
        match self.mode {
            "" => self.name.clone(),
            mode => format!("{}, {mode}", self.name),
        }
    }
}

/// Rates of the machine at present.
pub fn rates(ours: &Runner, request: &Value) -> anyhow::Result<Rates> {
    let mut request = request.clone();
    request["task"] = "limits".into();
    let json = ours.ask(&request)?.json;
    let rate = |index: usize| json["values"][index].as_f64().context("a worker prints two rates");
    Ok(Rates { bytes: rate(0)?, operations: rate(1)? })
}

/// Measures all runners `rounds` times. A runner that fails is skipped from then on.
pub fn run(
    ours: &Runner,
    rivals: &[Vec<Runner>],
    request: &Value,
    cost: Option<Cost>,
    measure: &dyn Fn() -> anyhow::Result<Rates>,
    rounds: u32,
) -> Outcome {
    let (mut our_series, mut measured) = (Ok(Series::default()), Ok(Vec::new()));
    let mut modes: Vec<(&Runner, Result<Series, Absence>)> =
        rivals.iter().flatten().map(|mode| (mode, Ok(Series::default()))).collect();
    for _ in 0..rounds {
        if let (Some(_), Ok(rates)) = (cost, &mut measured) {
            match measure() {
                Ok(now) => rates.push(now),
                Err(error) => {
                    eprintln!("cannot measure the hardware's limit: {error:#}");
                    measured = Err(error);
                }
            }
        }
        ours.take_turn(request, &mut our_series);
        for (runner, result) in &mut modes {
            runner.take_turn(request, result);
        }
    }
    let rates: Vec<Rates> = measured.unwrap_or_default();
    let limits = cost.map(|cost| rates.iter().map(|&rates| cost.seconds(rates)).collect());
    let mut modes = modes.into_iter();
    let rivals = rivals.iter().map(|rival| {
        let results = modes.by_ref().take(rival.len());
        fastest(results.map(|(mode, result)| (mode.title(), result)).collect())
    });
    let rivals = rivals.collect();
    Outcome { ours: our_series, limits: limits.unwrap_or_default(), rates, rivals }
}

/// The mode with the lowest median of seconds; the first one if all failed.
fn fastest(modes: Vec<(String, Result<Series, Absence>)>) -> RivalResult {
    let key = |series: &Result<Series, Absence>| match series {
        Ok(series) => median(&series.values).unwrap_or(f64::INFINITY),
        Err(_) => f64::INFINITY,
    };
    let best = modes.into_iter().min_by(|left, right| key(&left.1).total_cmp(&key(&right.1)));
    let (name, series) = best.expect("a rival has a mode");
    RivalResult { name, series }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fastest_mode_counts_and_one_that_failed_does_not() {
        let failed = || Err(Absence::Failed("no compiler".to_owned()));
        let series = |values: &[f64]| Ok(Series { values: values.to_vec(), peaks: Vec::new() });
        let modes = vec![
            ("a".to_owned(), failed()),
            ("b".to_owned(), series(&[3.0, 9.0, 4.0])),
            ("c".to_owned(), series(&[5.0, 1.0, 5.0])),
        ];
        assert_eq!(fastest(modes).name, "b");
        assert_eq!(fastest(vec![("a".to_owned(), failed())]).series, failed());
    }
    #[cfg(unix)]
    #[test]
    fn a_runner_that_fails_is_not_asked_again_and_the_others_go_on() {
        let folder = tempfile::tempdir().unwrap();
        let asked = folder.path().join("asked");
        let runner = |script: &str| Runner {
            name: "one".to_owned(),
            mode: "",
            program: "sh".into(),
            arguments: vec!["-c".into(), script.into()],
            model: PathBuf::new(),
            device: "cpu".to_owned(),
            forgets: false,
        };
        let fails = format!("echo >> {}; echo 'out of memory' >&2; exit 1", asked.display());
        let works = "echo '{\"values\": [2, 4], \"peak_bytes\": 5}'";
        let cannot = "echo '{\"cannot\": \"finds no GPU\"}'";
        let rivals = [works, cannot].map(|script| vec![runner(script)]);
        let request = serde_json::json!({"threads": 1});
        let cost = Some(Cost { bytes: 6.0, operations: 0.0 });
        let measure = || Ok(Rates { bytes: 3.0, operations: 1.0 });
        let outcome = run(&runner(&fails), &rivals, &request, cost, &measure, 2);
        let Err(Absence::Failed(reason)) = outcome.ours else { panic!("it has failed") };
        assert!(reason.ends_with("out of memory"), "{reason}");
        assert_eq!(fs::read_to_string(asked).unwrap().lines().count(), 1);
        let series = Series { values: vec![3.0; 2], peaks: vec![5.0; 2] };
        let [first, second] = &outcome.rivals[..] else { panic!("there are two rivals") };
        assert_eq!(first.series, Ok(series));
        assert_eq!(second.series, Err(Absence::Cannot("finds no GPU".to_owned())));
        assert_eq!(outcome.limits, [2.0, 2.0]);

        let unmeasured = || Err(anyhow::anyhow!("no such type"));
        let outcome = run(&runner(works), &[], &request, cost, &unmeasured, 2);
        assert!(outcome.ours.is_ok() && outcome.limits.is_empty());
    }

    #[cfg(unix)]
    #[test]
    fn a_runner_that_forgets_keeps_no_kernels() {
        let runner = Runner {
            name: "one".to_owned(),
            mode: "",
            program: "sh".into(),
            arguments: vec![
                "-c".into(),
                "echo \"{\\\"files\\\": \\\"$(ls) $CUDA_CACHE_DISABLE\\\"}\"".into(),
            ],
            model: PathBuf::new(),
            device: "vulkan".to_owned(),
            forgets: true,
        };
        let said = runner.ask(&serde_json::json!({"threads": 1})).unwrap().json;
        assert_eq!(said["files"], "cubecl.toml 1");
    }
}
