//! One run: a process of its own, whose last line is its result.

use std::fs;
use std::io::{BufRead, BufReader, Read, Seek};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, ensure};
use serde_json::Value;

/// Result of a process that has ended.
pub struct Finished {
    /// The last line; a library may print others before.
    pub json: Value,
    /// Seconds from the start until the last line.
    pub seconds: f64,
}

/// Runs a process to its end.
pub fn run(command: &mut Command) -> anyhow::Result<Finished> {
    let program = command.get_program().to_string_lossy().into_owned();
    // A file: while standard output is read, a pipe could fill up.
    let mut messages = tempfile::tempfile().context("cannot create a file for messages")?;
    let start = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(messages.try_clone().context("cannot share the file for messages")?)
        .spawn()
        .with_context(|| format!("cannot run {program}"))?;
    let output = BufReader::new(child.stdout.take().context("its output is a pipe")?);
    let mut last = (String::new(), 0.0);
    for line in output.lines() {
        let line = line.with_context(|| format!("cannot read the output of {program}"))?;
        last = (line, start.elapsed().as_secs_f64());
    }
    let status = child.wait().with_context(|| format!("cannot wait for {program}"))?;
    let (line, seconds) = last;
    let mut text = Vec::new();
    messages.rewind()?;
    messages.read_to_end(&mut text)?;
    let text = String::from_utf8_lossy(&text);
    ensure!(status.success(), "{program} ended with {status}:\n{}", text.trim());
    let json = serde_json::from_str(&line)
        .with_context(|| format!("cannot parse the last line of {program}, `{line}`"))?;
    Ok(Finished { json, seconds })
}

/// Peak memory of this process in bytes, including mapped files. None if the system does not report
/// it.
pub fn peak_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

/// A path as text, for requests and handles.
pub fn utf8(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("the temporary folder's path must be UTF-8")
}
