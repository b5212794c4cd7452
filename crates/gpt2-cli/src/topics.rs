//! Lists of samplers, optimizers and schedules with their arguments: `gpt2 help samplers`.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use gpt2_task::catalogue::{self, Choice};

/// Names of the lists.
const TOPICS: [&str; 3] = ["samplers", "optimizers", "schedules"];

/// List that the arguments request: `gpt2 help samplers` or `gpt2 generate --help samplers`.
pub(crate) fn asked_for(arguments: &[OsString]) -> Option<String> {
    let pairs = arguments.windows(2).enumerate();
    let mut topics = pairs.filter_map(|(index, pair)| {
        let (asks, topic) = (pair[0].to_str()?, pair[1].to_str()?);
        let is_asked = matches!(asks, "--help" | "-h") || (asks == "help" && index == 1);
        (is_asked && TOPICS.contains(&topic)).then(|| list(topic))
    });
    topics.next()
}

/// Prints a list.
pub(crate) fn print(list: &str) -> ExitCode {
    // Nothing can be printed to a closed pipe.
    let _ = io::stdout().lock().write_all(list.as_bytes());
    ExitCode::SUCCESS
}

/// All lists with their names.
pub(crate) fn all() -> impl Iterator<Item = (&'static str, String)> {
    TOPICS.into_iter().map(|topic| (topic, list(topic)))
}

fn list(topic: &str) -> String {
    match topic {
        "samplers" => lines("--sampler NAME:argument=value,…", catalogue::samplers()),
        "optimizers" => {
            let own = lines("--optimizer NAME:argument=value,…", catalogue::optimizers());
            let common = catalogue::optimizer_settings().join("\n  ");
            format!("{own}\nArguments of all optimizers:\n  {common}\n")
        }
        _ => lines(
            "--schedule NAME:argument=value,…; lists stand in brackets",
            catalogue::schedules(),
        ),
    }
}

fn lines(head: &str, choices: Vec<Choice>) -> String {
    let mut text = format!("{head}\n\n");
    for choice in choices {
        text += choice.name;
        text.push('\n');
        for argument in choice.arguments {
            text += &format!("  {:28}  default: {}\n", argument.name, argument.default);
        }
    }
    text
}
