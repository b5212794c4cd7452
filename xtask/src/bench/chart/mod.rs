//! `cargo xtask bench chart`: the ratios of kept records as a bar chart.

mod bars;
mod setting;
mod svg;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, ensure};
use serde_json::Value;

/// Draws by how many times this library is better than its rivals.
#[derive(clap::Args)]
pub struct Arguments {
    /// Records that `bench --record` wrote, all with the same machine, device, float type and size
    #[arg(required = true, value_name = "RECORD")]
    records: Vec<PathBuf>,
    /// SVG file to write
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
}

/// Reads the records, draws them, and prints the file's name.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let svg = draw(&arguments.records)?;
    let output = arguments.output.display();
    fs::write(&arguments.output, svg).with_context(|| format!("cannot write {output}"))?;
    println!("{output}");
    Ok(ExitCode::SUCCESS)
}

/// The chart of some records.
fn draw(records: &[impl AsRef<Path>]) -> anyhow::Result<String> {
    let mut lines = Vec::new();
    for path in records {
        lines.extend(read(path.as_ref())?);
    }
    let groups = bars::groups(&lines)?;
    ensure!(
        !groups.is_empty(),
        "the records have no ratio to draw; measure one of the scenarios {} with `--peers`",
        bars::names().join(", ")
    );
    Ok(svg::document(&setting::describe(&lines)?, &groups))
}

/// The lines of a record.
fn read(path: &Path) -> anyhow::Result<Vec<Value>> {
    let name = path.display();
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
    let line = |(number, line): (usize, &str)| {
        serde_json::from_str(line).with_context(|| {
            format!("cannot read {name}, line {}: expected a JSON object", number + 1)
        })
    };
    text.lines().enumerate().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `docs/performance.md` has the command that draws the chart.
    #[test]
    fn the_chart_in_the_documentation_is_that_of_the_records() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let record = |name| root.join("xtask/benchmarks").join(name);
        let records = ["2026-11-25-generation.jsonl", "2026-11-25-training.jsonl"].map(record);
        let kept = fs::read_to_string(root.join("docs/speed.svg")).unwrap();
        assert!(draw(&records).unwrap() == kept, "draw docs/speed.svg again");
    }

    #[test]
    fn records_without_ratios_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record.jsonl");
        fs::write(&path, "{\"cpu\":\"x\",\"threads\":2}\n").unwrap();
        let message = draw(&[&path]).unwrap_err().to_string();
        assert!(message.contains("no ratio to draw"), "{message}");
        fs::write(&path, "{}\nno JSON\n").unwrap();
        let message = draw(&[&path]).unwrap_err().to_string();
        assert!(message.contains("line 2"), "{message}");
    }
}
