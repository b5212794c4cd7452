//! Measurements of `load`, and their output.

use serde_json::{Value, json};

use super::statistics::{median, range};

/// The runs of one case.
pub struct Measurements {
    pub name: &'static str,
    /// Seconds of each run.
    pub seconds: Vec<f64>,
    /// Peak memory of each run in bytes, if known.
    pub peaks: Vec<f64>,
}

/// A number derived from the measurements, with an optional upper limit.
pub struct Check {
    pub name: &'static str,
    pub value: f64,
    pub limit: Option<f64>,
}

impl Measurements {
    /// Median of the times.
    pub fn time(&self) -> Option<f64> {
        median(&self.seconds)
    }

    /// Median of the peaks of memory.
    pub fn peak(&self) -> Option<f64> {
        median(&self.peaks)
    }
}

/// Prints the cases, then the checks. `weights` is the size of the weights in bytes.
pub fn print(cases: &[Measurements], checks: &[Check], weights: f64) {
    println!(
        "{:<34} {:>9} {:>17} {:>9} {:>9}",
        "median of the runs", "seconds", "least to most", "peak MB", "/ weights"
    );
    for case in cases {
        let (least, most) = range(&case.seconds);
        let time = or_dash(case.time(), 3);
        let spread = format!("{least:.3} to {most:.3}");
        let megabytes = or_dash(case.peak().map(|peak| peak / 1e6), 0);
        let ratio = or_dash(case.peak().map(|peak| peak / weights), 2);
        println!("{:<34} {time:>9} {spread:>17} {megabytes:>9} {ratio:>9}", case.name);
    }
    println!();
    for Check { name, value, limit } in checks {
        let verdict = match limit {
            None => String::new(),
            Some(limit) if value <= limit => format!("  at most {limit}: ok"),
            Some(limit) => format!("  at most {limit}: TOO LARGE"),
        };
        println!("{name:<62} {value:>8.3}{verdict}");
    }
}

/// A number, or a dash if it is unknown.
fn or_dash(value: Option<f64>, digits: usize) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.digits$}"))
}

/// The same as a JSON object, with null for unknown numbers.
pub fn to_json(cases: &[Measurements], checks: &[Check], weights: f64) -> Value {
    let cases = cases.iter().map(|case| {
        json!({
            "name": case.name,
            "median_seconds": case.time(),
            "seconds": case.seconds,
            "median_peak_bytes": case.peak(),
        })
    });
    let checks = checks.iter().map(|Check { name, value, limit }| {
        let passed = limit.map(|limit| *value <= limit);
        json!({"name": name, "value": value, "limit": limit, "passed": passed})
    });
    json!({
        "weights_bytes": weights,
        "cases": cases.collect::<Vec<_>>(),
        "checks": checks.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_memory_is_null_and_a_dash() {
        let case = Measurements { name: "case", seconds: vec![0.5], peaks: Vec::new() };
        let json = to_json(&[case], &[], 1.0);
        assert_eq!(json["cases"][0]["median_seconds"], 0.5);
        assert!(json["cases"][0]["median_peak_bytes"].is_null());
        assert_eq!((or_dash(None, 2), or_dash(Some(1.0), 2)), ("-".to_owned(), "1.00".to_owned()));
    }
}
