//! Reference of all commands in Markdown.

use std::fmt::Write as _;

use clap::{Arg, Command};

use crate::topics;

/// Reference of a built command and its subcommands.
pub(super) fn reference(command: &Command) -> String {
    let mut text = "# Commands\n\n".to_owned();
    text += &wrapped(
        "Made by `gpt2 man --markdown` from the arguments that the program reads. `gpt2 COMMAND \
         --help` has the same on the terminal.",
    );
    text += "\n## Options of every command\n\n";
    for argument in command.get_arguments().filter(|argument| is_shown(argument, true)) {
        text += &option(argument);
    }
    text += "\n## Exit codes\n\n\
             | code | meaning |\n|---|---|\n\
             | 0 | done, or yes |\n\
             | 1 | the answer is no: `verify` beyond the tolerance, `eval` beyond its threshold |\n\
             | 2 | an error, in the arguments too |\n\
             | 130 | interrupted by Ctrl-C or SIGTERM |\n\n";
    text += &wrapped(
        "With `--json`, a result has the keys `schema_version` and `command` and those of the \
         command; an error is `{\"schema_version\": 1, \"error\": {\"kind\", \"message\", \
         \"hint\"}}`. Both are on standard output.",
    );
    for subcommand in command.get_subcommands().filter(|one| one.get_name() != "help") {
        section(&mut text, subcommand);
    }
    for (topic, list) in topics::all() {
        let _ = write!(text, "\n## Arguments of {topic}\n\n```text\n{}\n```\n", list.trim_end());
    }
    text
}

fn section(text: &mut String, command: &Command) {
    let mut command = command.clone();
    let usage = command.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").trim();
    let name = command.get_bin_name().unwrap_or(command.get_name()).to_owned();
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let _ = write!(text, "\n## {name}\n\n{about}\n\n```text\n{usage}\n```\n\n");
    for argument in command.get_arguments().filter(|argument| is_shown(argument, false)) {
        *text += &option(argument);
    }
    if let Some(examples) = command.get_after_help() {
        let _ = write!(text, "\n```text\n{}\n```\n", examples.to_string().trim_end());
    }
    for subcommand in command.get_subcommands().filter(|one| one.get_name() != "help") {
        section(text, subcommand);
    }
}

fn is_shown(argument: &Arg, global: bool) -> bool {
    let is_automatic = matches!(argument.get_id().as_str(), "help" | "version");
    argument.is_global_set() == global && !argument.is_hide_set() && !is_automatic
}

/// A line of a list: names, value, help, default.
fn option(argument: &Arg) -> String {
    let mut names = Vec::new();
    names.extend(argument.get_short().map(|short| format!("-{short}")));
    names.extend(argument.get_long().map(|long| format!("--{long}")));
    let takes_value = argument.get_action().takes_values();
    let values: Vec<String> = match takes_value {
        true => {
            argument.get_value_names().unwrap_or_default().iter().map(ToString::to_string).collect()
        }
        false => Vec::new(),
    };
    let mut head = names.join(", ");
    if !values.is_empty() {
        let separator = if head.is_empty() { "" } else { " " };
        let _ = write!(head, "{separator}{}", values.join(" "));
    }
    let mut line =
        format!("- `{head}`: {}", argument.get_help().map(ToString::to_string).unwrap_or_default());
    let possible: Vec<String> = match takes_value {
        true => argument
            .get_possible_values()
            .iter()
            .map(|value| format!("`{}`", value.get_name()))
            .collect(),
        false => Vec::new(),
    };
    if !possible.is_empty() {
        let _ = write!(line, ": {}", possible.join(", "));
    }
    let defaults: Vec<String> = argument
        .get_default_values()
        .iter()
        .map(|value| value.to_string_lossy().into_owned())
        .collect();
    if takes_value && !defaults.is_empty() {
        let _ = write!(line, ". Default: `{}`", defaults.join(" "));
    }
    wrapped(&line)
}

/// A wrapped paragraph or list item.
fn wrapped(text: &str) -> String {
    const COLUMNS: usize = 100;
    let indent = if text.starts_with("- ") { "\n  " } else { "\n" };
    let mut lines = String::new();
    let mut width = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if width == 0 {
            width = length;
        } else if width + 1 + length > COLUMNS {
            lines += indent;
            width = indent.len() - 1 + length;
        } else {
            lines.push(' ');
            width += 1 + length;
        }
        lines += word;
    }
    lines.push('\n');
    lines
}
