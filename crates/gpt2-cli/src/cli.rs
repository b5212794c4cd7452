//! Arguments of the program, and dispatch to a command.

use std::any::TypeId;
use std::ffi::OsString;
use std::process::ExitCode;

use clap::{ArgAction, Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use clap_complete::CompleteEnv;

use crate::answer::Answer;
use crate::commands::{
    bench, completions, convert, devices, doctor, eval, generate, man, models, score, tokenizer,
    train, verify,
};
use crate::context::Context;
use crate::values::{parse_number, parse_whole_number};
use crate::{failure, interrupt, topics};

const AFTER_HELP: &str = "\
Examples:
  gpt2 generate \"ROMEO:\"
  gpt2 train --train my_text.txt --output my_preset
  gpt2 generate --preset my_preset \"Once\"

Arguments of samplers, optimizers and schedules: gpt2 help samplers|optimizers|schedules";

/// Generate, train, evaluate and convert GPT-2 models
#[derive(Parser)]
#[command(name = "gpt2", version, max_term_width = 100, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options that have the same meaning in all commands.
#[derive(Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Print only results and errors
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Print more details of the work
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    verbose: u8,
    /// Print results and errors as JSON
    #[arg(long, global = true)]
    json: bool,
    /// Contact no hub: use downloaded files only
    #[arg(long, global = true)]
    offline: bool,
}

#[derive(Subcommand)]
enum Command {
    Generate(generate::Arguments),
    Train(Box<train::Arguments>),
    Score(score::Arguments),
    Eval(eval::Arguments),
    Convert(convert::Arguments),
    Verify(verify::Arguments),
    Models(models::Arguments),
    Tokenizer(tokenizer::Arguments),
    Bench(bench::Arguments),
    Devices(devices::Arguments),
    Doctor(doctor::Arguments),
    Completions(completions::Arguments),
    Man(man::Arguments),
}

impl Command {
    /// Name in JSON.
    fn name(&self) -> &'static str {
        match self {
            Self::Generate(_) => "generate",
            Self::Train(_) => "train",
            Self::Score(_) => "score",
            Self::Eval(_) => "eval",
            Self::Convert(_) => "convert",
            Self::Verify(_) => "verify",
            Self::Models(models) => models.name(),
            Self::Tokenizer(tokenizer) => tokenizer.name(),
            Self::Bench(_) => "bench",
            Self::Devices(_) => "devices",
            Self::Doctor(_) => "doctor",
            Self::Completions(_) => "completions",
            Self::Man(_) => "man",
        }
    }

    fn run(&self, context: &Context) -> anyhow::Result<Answer> {
        match self {
            Self::Generate(arguments) => generate::run(arguments, context),
            Self::Train(arguments) => train::run(arguments, context),
            Self::Score(arguments) => score::run(arguments, context),
            Self::Eval(arguments) => eval::run(arguments, context),
            Self::Convert(arguments) => convert::run(arguments, context),
            Self::Verify(arguments) => verify::run(arguments, context),
            Self::Models(arguments) => models::run(arguments, context),
            Self::Tokenizer(arguments) => tokenizer::run(arguments, context),
            Self::Bench(arguments) => bench::run(arguments, context),
            Self::Devices(arguments) => devices::run(arguments, context),
            Self::Doctor(arguments) => doctor::run(arguments, context),
            Self::Completions(arguments) => completions::run(arguments, context),
            Self::Man(arguments) => man::run(arguments, context),
        }
    }
}

/// The clap command. Negative numbers are values, not flags, and refused in our own words.
pub(crate) fn command() -> clap::Command {
    with_numbers(Cli::command())
}

fn with_numbers(command: clap::Command) -> clap::Command {
    command
        .mut_args(|argument| {
            let takes_value = argument.get_action().takes_values();
            with_number(argument).allow_negative_numbers(takes_value)
        })
        .mut_subcommands(with_numbers)
}

/// Sets the parser of an argument that is a number.
fn with_number(argument: clap::Arg) -> clap::Arg {
    let of = argument.get_value_parser().type_id();
    // Gigabytes have a parser of their own.
    let is_size = argument.get_value_names().is_some_and(|names| names == ["GB"]);
    if is_size || !argument.get_action().takes_values() {
        argument
    } else if of == TypeId::of::<usize>() {
        argument.value_parser(parse_whole_number::<usize>)
    } else if of == TypeId::of::<u64>() {
        argument.value_parser(parse_whole_number::<u64>)
    } else if of == TypeId::of::<f32>() {
        argument.value_parser(parse_number::<f32>)
    } else if of == TypeId::of::<f64>() {
        argument.value_parser(parse_number::<f64>)
    } else {
        argument
    }
}

/// Parses the arguments and runs their command.
pub(crate) fn run(arguments: Vec<OsString>) -> ExitCode {
    CompleteEnv::with_factory(command).var(completions::VARIABLE).bin("gpt2").complete();
    if let Some(list) = topics::asked_for(&arguments) {
        return topics::print(&list);
    }
    let matches = command().try_get_matches_from(&arguments);
    let cli = matches.and_then(|matches| Cli::from_arg_matches(&matches));
    let Cli { global, command } = match cli {
        Ok(cli) => cli,
        Err(error) => return failure::usage(error, &arguments),
    };
    interrupt::listen();
    let Global { quiet, verbose, json, offline } = global;
    let (command, name) = (&command, command.name());
    let context = Context { json, quiet, verbose, offline, command: name, commands: self::command };
    match command.run(&context) {
        Ok(answer) => answer.into(),
        Err(error) => failure::report(&error, &context),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    #[test]
    fn the_arguments_are_consistent() {
        super::command().debug_assert();
    }

    /// Arguments of the commands that a page shows, as a shell splits them.
    fn commands(page: &str) -> Vec<Vec<String>> {
        let page = page.replace("\\\n", " ");
        let starts = ["gpt2 ", "cargo run --release -- "];
        let arguments = page.lines().filter_map(|line| {
            starts.iter().find_map(|start| line.trim_start().strip_prefix(start))
        });
        // Lines of usage, and of dependencies in a manifest.
        arguments
            .filter(|arguments| !arguments.starts_with('=') && !arguments.contains("[OPTIONS]"))
            .map(|arguments| shlex::split(arguments).expect("quotes are closed"))
            .collect()
    }

    #[test]
    fn the_pages_show_commands_that_exist() {
        let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs");
        let mut count = 0;
        for page in fs::read_dir(docs).unwrap() {
            let path = page.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "md") {
                continue;
            }
            for arguments in commands(&fs::read_to_string(&path).unwrap()) {
                let words = ["gpt2"].into_iter().chain(arguments.iter().map(String::as_str));
                if let Err(error) = super::command().try_get_matches_from(words) {
                    panic!("{}: {arguments:?}\n{error}", path.display());
                }
                count += 1;
            }
        }
        assert!(count > 20, "{count} commands");
    }
}
