//! Output of a command: standard output and standard error.

use std::fmt;
use std::io::{self, Write};

use serde_json::{Map, Value};

/// Version of the JSON objects that commands print.
pub const SCHEMA_VERSION: u32 = 1;

/// Global options of the running command, and its output.
#[derive(Debug, Clone)]
pub struct Context {
    /// Whether results and errors are JSON.
    pub json: bool,
    /// Whether only results and errors are printed.
    pub quiet: bool,
    /// Number of `-v` flags, which print more details.
    pub verbose: u8,
    /// Whether no hub is contacted.
    pub offline: bool,
    /// Name of the command in JSON: `generate`, `models list`.
    pub command: &'static str,
    /// All commands and their flags: for manual pages, and to name flags in remedies.
    pub commands: fn() -> clap::Command,
}

impl Context {
    /// Prints a line of the result to standard output.
    ///
    /// # Errors
    ///
    /// The error of the write. A closed pipe ends the command without a message.
    pub fn print(&self, line: impl fmt::Display) -> io::Result<()> {
        writeln!(io::stdout().lock(), "{line}")
    }

    /// Prints the result as JSON: `schema_version`, `command`, and the keys of `result`.
    ///
    /// # Errors
    ///
    /// As [`print`](Self::print).
    pub fn print_json(&self, result: Value) -> io::Result<()> {
        self.print(format_args!("{:#}", self.object(result)))
    }

    /// Prints one of several results as a line of JSON, with the keys of
    /// [`print_json`](Self::print_json).
    ///
    /// # Errors
    ///
    /// As [`print`](Self::print).
    pub fn print_json_line(&self, result: Value) -> io::Result<()> {
        self.print(self.object(result))
    }

    /// Prints a line about the work to standard error, unless `--quiet` is given.
    pub fn note(&self, line: impl fmt::Display) {
        if !self.quiet {
            say(line);
        }
    }

    /// Prints a line to standard error if `-v` is given.
    pub fn detail(&self, line: impl fmt::Display) {
        if self.verbose > 0 {
            say(line);
        }
    }

    /// Prints a line to standard error, even with `--quiet`.
    pub fn warn(&self, line: impl fmt::Display) {
        say(format_args!("warning: {line}"));
    }

    fn object(&self, result: Value) -> Value {
        let mut object = Map::new();
        object.insert("schema_version".to_owned(), SCHEMA_VERSION.into());
        object.insert("command".to_owned(), self.command.into());
        if let Value::Object(result) = result {
            object.extend(result);
        }
        Value::Object(object)
    }
}

/// Prints a line to standard error. Ignores a closed standard error.
pub(crate) fn say(line: impl fmt::Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}
