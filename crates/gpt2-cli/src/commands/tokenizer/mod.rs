//! `gpt2 tokenizer`: encoding, decoding, and training of vocabularies.

mod decode;
mod encode;
mod train;

use clap::Subcommand;

use crate::answer::Answer;
use crate::context::Context;

/// Encode and decode text, or train a vocabulary
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Encode(encode::Arguments),
    Decode(decode::Arguments),
    Train(train::Arguments),
}

impl Arguments {
    /// Name in JSON.
    pub(crate) fn name(&self) -> &'static str {
        match self.command {
            Command::Encode(_) => "tokenizer encode",
            Command::Decode(_) => "tokenizer decode",
            Command::Train(_) => "tokenizer train",
        }
    }
}

/// Runs a subcommand.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<Answer> {
    match &arguments.command {
        Command::Encode(arguments) => encode::run(arguments, context),
        Command::Decode(arguments) => decode::run(arguments, context),
        Command::Train(arguments) => train::run(arguments, context),
    }
}
