//! Programs of the examples, and their answers.

use std::path::PathBuf;
use std::process::{Command, Output};

/// An example's program, which `cargo test` builds beside this test.
pub fn program(name: &str) -> Command {
    let test = std::env::current_exe().unwrap();
    let mut program: PathBuf = test.parent().unwrap().parent().unwrap().join("examples").join(name);
    program.set_extension(std::env::consts::EXE_EXTENSION);
    assert!(program.exists(), "{} is missing: run `cargo build --examples`", program.display());
    let mut command = Command::new(program);
    // No test asks a hub.
    command.env("GPT2_OFFLINE", "1");
    command
}

/// Standard output of a run that must have succeeded.
#[track_caller]
pub fn success(output: &Output) -> String {
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{message}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Message of a run that must have failed without a panic.
#[track_caller]
pub fn refusal(output: &Output) -> String {
    let message = String::from_utf8(output.stderr.clone()).unwrap();
    assert!(!output.status.success(), "it was accepted: {message}");
    assert!(!message.contains("panicked"), "{message}");
    message
}
