//! `gpt2 completions`: completion of commands, flags and presets in a shell.

use std::ffi::OsStr;
use std::io;

use clap::ValueEnum;
use clap_complete::engine::CompletionCandidate;
use clap_complete::env::{Bash, Elvish, EnvCompleter, Fish, Powershell, Zsh};
use gpt2_presets::presets;
use gpt2_task::catalogue::{self, Choice};

use crate::answer::Answer;
use crate::context::Context;

/// Variable with which the shell's script requests completions.
pub(crate) const VARIABLE: &str = "GPT2_COMPLETE";

const EXAMPLES: &str = "\
Examples:
  bash        echo 'source <(gpt2 completions bash)' >> ~/.bashrc
  zsh         echo 'source <(gpt2 completions zsh)' >> ~/.zshrc
  fish        gpt2 completions fish > ~/.config/fish/completions/gpt2.fish";

/// Print the shell script that completes commands, flags and preset names
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    shell: Shell,
}

/// Supported shells.
#[derive(Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
    Elvish,
    Fish,
    Powershell,
    Zsh,
}

/// Prints the script.
pub(crate) fn run(arguments: &Arguments, _context: &Context) -> anyhow::Result<Answer> {
    let shell: &dyn EnvCompleter = match arguments.shell {
        Shell::Bash => &Bash,
        Shell::Elvish => &Elvish,
        Shell::Fish => &Fish,
        Shell::Powershell => &Powershell,
        Shell::Zsh => &Zsh,
    };
    shell.write_registration(VARIABLE, "gpt2", "gpt2", "gpt2", &mut io::stdout().lock())?;
    Ok(Answer::Yes)
}

/// Names of presets that begin with `word`.
pub(crate) fn preset_names(word: &OsStr) -> Vec<CompletionCandidate> {
    let word = word.to_string_lossy();
    let found = presets().iter().filter(|preset| preset.name.starts_with(&*word));
    found
        .map(|preset| CompletionCandidate::new(preset.name).help(Some(preset.description.into())))
        .collect()
}

/// Names of samplers.
pub(crate) fn sampler_names() -> Vec<CompletionCandidate> {
    candidates(catalogue::samplers())
}

fn candidates(choices: Vec<Choice>) -> Vec<CompletionCandidate> {
    choices.into_iter().map(|choice| CompletionCandidate::new(choice.name)).collect()
}
