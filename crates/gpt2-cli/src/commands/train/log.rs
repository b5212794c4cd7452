//! Log of a training: a JSON object a line, for every step and every epoch.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;

/// Opens the log, and appends to it if the training is resumed.
pub(super) fn open(path: &Path, resumed: bool) -> anyhow::Result<File> {
    let mut open = OpenOptions::new();
    let log = open.create(true).write(true).append(resumed).truncate(!resumed).open(path);
    log.with_context(|| format!("cannot open {}", path.display()))
}

/// Removes the lines after a step. They were written after the checkpoint; the steps are repeated.
pub(super) fn cut(path: &Path, step: u64) -> anyhow::Result<()> {
    let change = || -> std::io::Result<()> {
        let mut reader = BufReader::new(File::open(path)?);
        let (mut length, mut line) = (0, Vec::new());
        loop {
            line.clear();
            let read = reader.read_until(b'\n', &mut line)?;
            let object: Option<Value> = serde_json::from_slice(&line).ok();
            let is_kept = object.is_some_and(|object| {
                object["step"].as_u64().is_none_or(|written| written <= step)
            });
            if read == 0 || !is_kept {
                break;
            }
            length += read as u64;
        }
        OpenOptions::new().write(true).open(path)?.set_len(length)
    };
    change().with_context(|| format!("cannot truncate {}", path.display()))
}
