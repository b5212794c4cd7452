//! Runs of the program `gpt2`, and their results.

use std::process::{Command, Output};

/// The program with a command.
pub fn program(command: &str) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_gpt2"));
    // No test contacts a hub.
    program.env("GPT2_OFFLINE", "1").args(command.split(' '));
    program
}

/// Standard output of a run that must succeed.
#[track_caller]
pub fn success(output: &Output) -> String {
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{message}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Message of a run that must fail without a panic.
#[track_caller]
pub fn refusal(output: &Output) -> String {
    let message = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(!message.contains("panicked"), "{message}");
    message
}
