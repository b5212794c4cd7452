//! The command `xtask`, its output, and its golden data.

use std::path::PathBuf;
use std::process::Output;

use assert_cmd::Command;

/// The program with one of its commands.
pub fn xtask(name: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.arg(name);
    command
}

/// Path of a golden file or folder.
pub fn golden(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/golden").join(path)
}

/// Standard output of a run that must succeed.
#[track_caller]
pub fn success(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Message of a run that must fail with an error.
#[track_caller]
pub fn refusal(output: Output) -> String {
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{message}");
    message
}
