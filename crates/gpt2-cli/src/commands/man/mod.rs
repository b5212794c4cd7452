//! `gpt2 man`: manual pages, and the reference of all commands in Markdown.

mod markdown;

use std::fs;
use std::io;
use std::path::PathBuf;

use anyhow::Context as _;
use clap_mangen::Man;

use crate::answer::Answer;
use crate::context::Context;

/// Print the manual page, or write those of all commands
#[derive(clap::Args)]
pub struct Arguments {
    /// Write the pages of all commands to this folder
    #[arg(long, value_name = "DIR", conflicts_with = "markdown")]
    output: Option<PathBuf>,
    /// Print the reference of all commands in Markdown
    #[arg(long)]
    markdown: bool,
}

/// The reference of all commands in Markdown.
pub(crate) fn reference(command: clap::Command) -> String {
    markdown::reference(&built(command))
}

/// The command with clap's own additions.
fn built(mut command: clap::Command) -> clap::Command {
    command.build();
    command
}

/// Prints or writes the pages.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<Answer> {
    let command = built((context.commands)());
    if arguments.markdown {
        context.print(markdown::reference(&command).trim_end())?;
    } else if let Some(folder) = &arguments.output {
        let pages = || -> io::Result<()> {
            fs::create_dir_all(folder)?;
            clap_mangen::generate_to(command, folder)
        };
        pages().with_context(|| format!("cannot write pages to `{}`", folder.display()))?;
        context.print(folder.display())?;
    } else {
        Man::new(command).render(&mut io::stdout().lock())?;
    }
    Ok(Answer::Yes)
}
