//! One run: a process of its own, whose last line is what it has measured.

use std::fs;
use std::io::{BufRead, BufReader, Read, Seek};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, ensure};
use serde_json::Value;

/// Output of a process that has ended.
pub struct Finished {
    /// Its last line: a library may greet on standard output before.
    pub json: Value,
    /// Seconds from its start until that line.
    pub seconds: f64,
}

/// Runs a process to its end.
pub fn run(command: &mut Command) -> anyhow::Result<Finished> {
    let program = command.get_program().to_string_lossy().into_owned();
    // A file, since nobody reads a pipe while the output is read.
    let mut messages = tempfile::tempfile().context("creating a file for messages")?;
    let start = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(messages.try_clone().context("sharing the file for messages")?)
        .spawn()
        .with_context(|| format!("running {program}"))?;
    let output = BufReader::new(child.stdout.take().context("its output is a pipe")?);
    let mut last = (String::new(), 0.0);
    for line in output.lines() {
        let line = line.with_context(|| format!("reading the output of {program}"))?;
        last = (line, start.elapsed().as_secs_f64());
    }
    let status = child.wait().with_context(|| format!("waiting for {program}"))?;
    let (line, seconds) = last;
    let mut text = Vec::new();
    messages.rewind()?;
    messages.read_to_end(&mut text)?;
    let text = String::from_utf8_lossy(&text);
    ensure!(status.success(), "{program} ended with {status}:\n{}", text.trim());
    let json = serde_json::from_str(&line)
        .with_context(|| format!("reading the last line of {program}, `{line}`"))?;
    Ok(Finished { json, seconds })
}

/// The most memory that this process has had, mapped files included; none where no system says it.
pub fn peak_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

/// A path as text, as requests and handles are written.
pub fn utf8(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("the temporary folder's path must be UTF-8")
}
