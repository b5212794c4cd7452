//! Reports of tests that cannot run here.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::panic::Location;
use std::sync::Mutex;
use std::thread;

/// Variable with a file to which each skip is appended as `REASON<tab>TEST`, to summarise several
/// runs.
const LOG: &str = "GPT2_SKIP_LOG";

/// Reports that the current test is skipped, entirely or in part: `reason` follows "because".
///
/// Writes one line to the process's standard error, which the harness does not capture.
#[track_caller]
pub fn skip(reason: impl Into<String>) {
    static REPORTED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let reason = reason.into();
    let thread = thread::current();
    let test = match thread.name() {
        Some(name) if name != "main" => name.to_owned(),
        _ => Location::caller().to_string(),
    };
    let entry = format!("{reason}\t{test}\n");
    if !REPORTED.lock().expect("no thread panics with the lock").insert(entry.clone()) {
        return;
    }
    // A failed report must not fail the test.
    let _ = io::stderr().write_all(format!("skipped: {test}, because {reason}\n").as_bytes());
    if let Some(path) = env::var_os(LOG) {
        let file = OpenOptions::new().append(true).create(true).open(path);
        let _ = file.and_then(|mut file| file.write_all(entry.as_bytes()));
    }
}

/// Value of an environment variable. If it is not set, skips the test: `variable` names no `what`.
#[track_caller]
pub fn needs(variable: &str, what: &str) -> Option<OsString> {
    let value = env::var_os(variable);
    if value.is_none() {
        skip(format!("{variable} names no {what}"));
    }
    value
}
