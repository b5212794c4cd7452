//! Commands of `gpt2` that have a second name here.

use std::ffi::OsString;
use std::process::ExitCode;

/// Arguments of a command of `gpt2`, which reads them itself.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub struct Arguments {
    /// As `gpt2` takes them; `--help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// Runs a command of `gpt2`.
pub fn run(command: &[&str], arguments: Arguments) -> ExitCode {
    let words = ["gpt2"].iter().chain(command).map(OsString::from);
    gpt2_cli::run(words.chain(arguments.arguments))
}
