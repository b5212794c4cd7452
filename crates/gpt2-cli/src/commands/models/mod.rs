//! `gpt2 models`: presets that have a name, and what is downloaded of them.

mod list;

use clap::Subcommand;

use crate::answer::Answer;
use crate::context::Context;

/// List presets, and manage downloaded ones.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    List(list::Arguments),
}

impl Arguments {
    /// Name in JSON.
    pub(crate) fn name(&self) -> &'static str {
        match self.command {
            Command::List(_) => "models list",
        }
    }
}

/// Runs one of the commands.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<Answer> {
    match &arguments.command {
        Command::List(arguments) => list::run(arguments, context),
    }
}
