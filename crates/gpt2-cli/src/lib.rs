#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod answer;
mod cli;
pub mod commands;
pub mod context;
pub mod evaluation;
mod failure;
pub mod interrupt;
mod machine;
pub mod model;
mod tips;
mod topics;
pub mod values;

pub use answer::Answer;

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the program with the arguments of this process.
pub fn main() -> ExitCode {
    run(std::env::args_os())
}

/// Reference of all commands in Markdown: `docs/commands.md`.
pub fn reference() -> String {
    commands::man::reference(cli::command())
}

/// Runs the program with these arguments, the first of which is the program's name.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    cli::run(arguments.into_iter().collect())
}
