//! Measurements of several runs, and how they are shown.

use serde_json::{Value, json};

/// The runs of one case.
pub struct Measurements {
    pub name: &'static str,
    /// Seconds of each run.
    pub seconds: Vec<f64>,
    /// The most memory of each run in bytes, where it is known.
    pub peaks: Vec<f64>,
}

/// A number that follows from the measurements, and may have to be no larger than a limit.
pub struct Check {
    pub name: &'static str,
    pub value: f64,
    pub limit: Option<f64>,
}

impl Measurements {
    /// The middle of the times.
    pub fn time(&self) -> f64 {
        median(&self.seconds)
    }

    /// The middle of the peaks of memory, not a number where they are unknown.
    pub fn peak(&self) -> f64 {
        median(&self.peaks)
    }
}

/// The middle one of some numbers, the mean of the middle two where their count is even.
fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        count if count.is_multiple_of(2) => (values[count / 2 - 1] + values[count / 2]) / 2.0,
        count => values[count / 2],
    }
}

/// Prints the cases, then what is asked of them. `weights` is their size in bytes.
pub fn print(cases: &[Measurements], checks: &[Check], weights: f64) {
    println!(
        "{:<34} {:>9} {:>17} {:>9} {:>9}",
        "median of the runs", "seconds", "least to most", "peak MB", "/ weights"
    );
    for case in cases {
        let least = case.seconds.iter().copied().fold(f64::INFINITY, f64::min);
        let most = case.seconds.iter().copied().fold(0.0, f64::max);
        let (time, peak) = (case.time(), case.peak());
        let range = format!("{least:.3} to {most:.3}");
        let (megabytes, ratio) = (peak / 1e6, peak / weights);
        println!("{:<34} {time:>9.3} {range:>17} {megabytes:>9.0} {ratio:>9.2}", case.name);
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

/// The same as a JSON object.
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
    fn the_median_is_the_middle_one() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[]).is_nan());
    }
}
