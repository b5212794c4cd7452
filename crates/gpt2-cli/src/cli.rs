//! Arguments of the whole command, and the way from them to a command.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{ArgAction, Args, Parser, Subcommand};

use crate::answer::Answer;
use crate::commands::{convert, devices, generate, models, tokenizer, train, verify};
use crate::context::Context;
use crate::{failure, interrupt};

/// Generate, train, evaluate and convert GPT-2 models.
#[derive(Parser)]
#[command(name = "gpt2", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options that mean the same everywhere.
#[derive(Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Print results and errors only
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Print more about the work
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    verbose: u8,
    /// Print results and errors as JSON
    #[arg(long, global = true)]
    json: bool,
    /// Ask no hub: use downloaded files only
    #[arg(long, global = true)]
    offline: bool,
}

#[derive(Subcommand)]
enum Command {
    Generate(generate::Arguments),
    Train(Box<train::Arguments>),
    Convert(convert::Arguments),
    Verify(verify::Arguments),
    Models(models::Arguments),
    Tokenizer(tokenizer::Arguments),
    Devices(devices::Arguments),
}

impl Command {
    /// Name in JSON.
    fn name(&self) -> &'static str {
        match self {
            Self::Generate(_) => "generate",
            Self::Train(_) => "train",
            Self::Convert(_) => "convert",
            Self::Verify(_) => "verify",
            Self::Models(models) => models.name(),
            Self::Tokenizer(tokenizer) => tokenizer.name(),
            Self::Devices(_) => "devices",
        }
    }

    fn run(&self, context: &Context) -> anyhow::Result<Answer> {
        match self {
            Self::Generate(arguments) => generate::run(arguments, context),
            Self::Train(arguments) => train::run(arguments, context),
            Self::Convert(arguments) => convert::run(arguments, context),
            Self::Verify(arguments) => verify::run(arguments, context),
            Self::Models(arguments) => models::run(arguments, context),
            Self::Tokenizer(arguments) => tokenizer::run(arguments, context),
            Self::Devices(arguments) => devices::run(arguments, context),
        }
    }
}

/// Parses the arguments and runs the command that they name.
pub(crate) fn run(arguments: Vec<OsString>) -> ExitCode {
    let Cli { global, command } = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return failure::usage(&error, &arguments),
    };
    interrupt::listen();
    let Global { quiet, verbose, json, offline } = global;
    let context = Context { json, quiet, verbose, offline, command: command.name() };
    match command.run(&context) {
        Ok(answer) => answer.into(),
        Err(error) => failure::report(&error, &context),
    }
}
