//! Commands of `gpt2` that have a second name here.

use std::ffi::OsString;
use std::process::ExitCode;

/// Names here, and the commands of `gpt2` that they are.
const COMMANDS: [(&str, &[&str]); 5] = [
    ("convert-preset", &["convert"]),
    ("devices", &["devices"]),
    ("presets", &["models", "list"]),
    ("train-tokenizer", &["tokenizer", "train"]),
    ("verify-preset", &["verify"]),
];

/// Arguments of a command of `gpt2`, which reads them itself.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub struct Arguments {
    /// As `gpt2` takes them; `--help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// Runs the command of `gpt2` that `name` is.
pub fn run(name: &str, arguments: Arguments) -> ExitCode {
    let found = COMMANDS.iter().find(|(own, _)| *own == name);
    let command = found.map_or(&[][..], |(_, command)| command);
    let words = ["gpt2"].iter().chain(command).map(OsString::from);
    gpt2_cli::run(words.chain(arguments.arguments))
}
