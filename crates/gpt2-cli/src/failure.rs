//! Errors of commands, as text and as JSON.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use gpt2_presets::{DataError, FileError, HubError, PresetError};
use gpt2_task::TaskError;
use serde_json::json;

use crate::context::{Context, SCHEMA_VERSION, say};
use crate::tips::with_tip;

/// Exit code of every error.
const EXIT_CODE: u8 = 2;

/// Flags whose names mean a sampler's arguments in the library's errors.
const OF_SAMPLERS: [&str; 3] = ["temperature", "top-k", "top-p"];

/// Method names in the libraries' errors, and this command's words for them.
const METHODS: [(&str, &str); 2] = [
    ("`HubOptions::with_offline`", "`--offline`"),
    ("pass one in `HubOptions` or in the environment", "set one in the environment"),
];

/// Prints an error of the arguments, or the requested help.
pub(crate) fn usage(error: clap::Error, arguments: &[OsString]) -> ExitCode {
    let error = with_tip(error, arguments);
    let is_json = arguments.iter().any(|argument| argument == "--json");
    if !error.use_stderr() || !is_json {
        // Nothing can be printed to a closed pipe.
        let _ = error.print();
        return ExitCode::from(if error.use_stderr() { EXIT_CODE } else { 0 });
    }
    let text = error.render().to_string();
    let text = text.trim_start_matches("error: ").trim_end();
    let (message, hint) = text.split_once("\n\n").unwrap_or((text, ""));
    print_json("usage", message, hint);
    ExitCode::from(EXIT_CODE)
}

/// Prints a command's error: each cause once, and remedies in terms of the command's flags.
pub(crate) fn report(error: &anyhow::Error, context: &Context) -> ExitCode {
    if is_broken_pipe(error) {
        // The reader, such as `head`, has closed the pipe: not an error.
        return ExitCode::SUCCESS;
    }
    let text = with_flags(&with_causes(error), context);
    if context.json {
        let (message, hint) = text.rsplit_once("; ").unwrap_or((&text, ""));
        print_json(kind(error), message, hint);
    } else {
        say(format_args!("error: {text}"));
    }
    ExitCode::from(EXIT_CODE)
}

fn print_json(kind: &str, message: &str, hint: &str) {
    let hint = (!hint.is_empty()).then_some(hint);
    let error = json!({"kind": kind, "message": message, "hint": hint});
    let object = json!({"schema_version": SCHEMA_VERSION, "error": error});
    let _ = writeln!(io::stdout().lock(), "{object:#}");
}

/// Text of an error and its causes, except causes that the text already contains. A remedy, after
/// the last `; ` of an error, follows the causes of that error.
fn with_causes(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    let mut remedies = Vec::new();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if text.contains(&cause) {
            continue;
        }
        if let Some((failure, remedy)) = text.rsplit_once("; ") {
            remedies.push(remedy.to_owned());
            text = failure.to_owned();
        }
        text = format!("{text}: {cause}");
    }
    remedies.iter().rev().fold(text, |text, remedy| format!("{text}; {remedy}"))
}

/// Replaces names in backticks in the libraries' errors by the command's flags with these names.
fn with_flags(text: &str, context: &Context) -> String {
    let mut command = &(context.commands)();
    for name in context.command.split(' ') {
        match command.find_subcommand(name) {
            Some(found) => command = found,
            None => return text.to_owned(),
        }
    }
    let flags = command.get_arguments().filter_map(clap::Arg::get_long);
    let flags = flags.filter(|flag| !OF_SAMPLERS.contains(flag));
    let text = flags.fold(text.to_owned(), |text, flag| {
        text.replace(&format!("`{}`", flag.replace('-', "_")), &format!("`--{flag}`"))
    });
    METHODS.iter().fold(text, |text, (method, word)| text.replace(method, word))
}

/// Kind of an error: the library that reported it.
fn kind(error: &anyhow::Error) -> &'static str {
    for cause in error.chain() {
        if cause.is::<HubError>() {
            return "hub";
        } else if cause.is::<FileError>() || cause.is::<io::Error>() {
            return "file";
        } else if cause.is::<DataError>() {
            return "data";
        } else if cause.is::<PresetError>() {
            return "preset";
        } else if cause.is::<TaskError>() {
            return "model";
        }
    }
    "error"
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let found = error.downcast_ref::<io::Error>();
    found.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use anyhow::Context as _;
    use gpt2_files::read_error;

    use super::*;

    #[test]
    fn a_remedy_follows_the_cause() {
        let absent = || io::Error::from(io::ErrorKind::NotFound);
        let error = anyhow::Error::from(read_error(Path::new("a.txt"))(absent()));
        let expected = "cannot read `a.txt`: entity not found; check the path and its permissions";
        assert_eq!(with_causes(&error), expected);
        let error = error.context("cannot open the data; pass --train");
        let expected = format!("cannot open the data: {expected}; pass --train");
        assert_eq!(with_causes(&error), expected);
        let error = Err::<(), _>(absent()).context("no; remedy: entity not found").unwrap_err();
        assert_eq!(with_causes(&error), "no; remedy: entity not found");
    }
}
