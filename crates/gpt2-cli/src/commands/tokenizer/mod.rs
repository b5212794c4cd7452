//! `gpt2 tokenizer`: text to tokens and back, and vocabularies of one's own.

mod train;

use clap::Subcommand;

use crate::answer::Answer;
use crate::context::Context;

/// Encode and decode text, or learn a vocabulary.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Train(train::Arguments),
}

impl Arguments {
    /// Name in JSON.
    pub(crate) fn name(&self) -> &'static str {
        match self.command {
            Command::Train(_) => "tokenizer train",
        }
    }
}

/// Runs one of the commands.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<Answer> {
    match &arguments.command {
        Command::Train(arguments) => train::run(arguments, context),
    }
}
