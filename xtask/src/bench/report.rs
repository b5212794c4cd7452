//! Table of the results, printed line by line as they are known.

use super::cost::Rates;
use super::record::{Record, Setting};
use super::rounds::Absence;
use super::statistics::{median, range};

/// Prints the names of the columns.
pub fn print_header() {
    println!(
        "{:<6} {:<8} {:<19} {:<11} {:<7} {:>9} {:>9} {:>5}  {:<32} {:>9} {:>6}  least to most",
        "size",
        "dtype",
        "scenario",
        "metric",
        "unit",
        "ours",
        "limit",
        "of it",
        "peer",
        "theirs",
        "ratio"
    );
}

/// Prints a device's rates, from which the limits follow.
pub fn print_rates(setting: &Setting, rates: Rates) {
    println!(
        "{} ({}) reads and writes {:.0} GB/s and multiplies {} at {:.1} Tflop/s",
        setting.device.name,
        setting.device.hardware,
        rates.bytes / 1e9,
        setting.dtype.name(),
        rates.operations / 1e12,
    );
}

/// Prints one record.
pub fn print(record: &Record) {
    println!("{}", line(record));
}

fn line(record: &Record) -> String {
    let number = |values: &[f64], digits| match median(values) {
        Some(value) => format!("{value:.digits$}"),
        None => "-".to_owned(),
    };
    let mut line = format!(
        "{:<6} {:<8} {:<19} {:<11} {:<7} {:>9} {:>9} {:>5}",
        record.setting.size.name(),
        record.setting.dtype.name(),
        record.scenario,
        record.metric.name,
        record.metric.unit,
        number(record.our_numbers(), 2),
        number(&record.limits, 2),
        number(&record.of_limit(), 2),
    );
    match (&record.peer, &record.ours) {
        (Some(peer), _) => {
            line += &format!("  {:<32} ", peer.name);
            line += &match &peer.theirs {
                Ok(theirs) => {
                    let ratios = record.ratios();
                    let (theirs, ratio) = (number(theirs, 2), number(&ratios, 2));
                    let (least, most) = range(&ratios);
                    let spread = match ratios.is_empty() {
                        true => String::new(),
                        false => format!("  {least:.2} to {most:.2}"),
                    };
                    format!("{theirs:>9} {ratio:>6}{spread}")
                }
                Err(absence) => brief(absence),
            };
        }
        (None, Err(absence)) => line += &format!("  {:<32} {}", "this library", brief(absence)),
        (None, Ok(_)) => {}
    }
    line
}

/// The line of a message that names the cause: the last one, except Rust's hint about backtraces.
fn brief(absence: &Absence) -> String {
    match absence {
        Absence::Cannot(reason) => reason.clone(),
        Absence::Failed(reason) => {
            let says = |line: &&str| !line.trim().is_empty() && !line.starts_with("note: ");
            format!("failed: {}", reason.lines().rfind(says).unwrap_or_default().trim())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_said_by_its_last_words() {
        let brief = |reason: &str| brief(&Absence::Failed(reason.to_owned()));
        let panic = "x ended with 101:\n\nthread 'main' panicked at src/a.rs:1:2:\nout of memory\n\
            note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace";
        assert_eq!(brief(panic), "failed: out of memory");
        assert_eq!(
            brief("Traceback:\n  File\nOutOfMemory: 20 GiB\n"),
            "failed: OutOfMemory: 20 GiB"
        );
    }
}
