//! Commands of `gpt2` that are available here too.

use std::ffi::OsString;
use std::process::ExitCode;

/// Arguments of a `gpt2` command, which parses them itself.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub struct Arguments {
    /// Arguments of the `gpt2` command; `--help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// Runs a `gpt2` command.
pub fn run(command: &[&str], arguments: Arguments) -> ExitCode {
    let words = ["gpt2"].iter().chain(command).map(OsString::from);
    gpt2_cli::run(words.chain(arguments.arguments))
}
