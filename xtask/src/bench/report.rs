//! The results as a table, a line as soon as it is known.

use super::record::{Absence, Record};
use super::statistics::{median, range};

/// Prints the names of the columns.
pub fn print_header() {
    println!(
        "{:<19} {:<11} {:<7} {:>9} {:>9} {:>5}  {:<28} {:>9} {:>6}  least to most",
        "scenario", "metric", "unit", "ours", "limit", "of it", "peer", "theirs", "ratio"
    );
}

/// Prints one record.
pub fn print(record: &Record) {
    let number = |values: &[f64], digits| match median(values) {
        Some(value) => format!("{value:.digits$}"),
        None => "-".to_owned(),
    };
    let mut line = format!(
        "{:<19} {:<11} {:<7} {:>9} {:>9} {:>5}",
        record.scenario,
        record.metric.name,
        record.metric.unit,
        number(&record.ours, 2),
        number(&record.limits, 2),
        number(&record.of_limit(), 2),
    );
    if let Some(peer) = &record.peer {
        line += &format!("  {:<28} ", peer.name);
        line += &match &peer.theirs {
            Ok(theirs) => {
                let ratios = record.ratios();
                let (least, most) = range(&ratios);
                let (theirs, ratio) = (number(theirs, 2), number(&ratios, 2));
                format!("{theirs:>9} {ratio:>6}  {least:.2} to {most:.2}")
            }
            Err(Absence::Cannot(reason)) => reason.clone(),
            Err(Absence::Failed(reason)) => {
                let reason = reason.trim_end().lines().last().unwrap_or_default();
                format!("failed: {reason}")
            }
        };
    }
    println!("{line}");
}
