//! Result of a command that did its work.

use std::process::ExitCode;

use crate::interrupt;

/// Result of a command that did its work, which becomes its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Done, or yes: 0.
    Yes,
    /// No, such as `verify` beyond the tolerance: 1.
    No,
    /// Stopped by Ctrl-C or SIGTERM, after everything was saved: 130.
    Interrupted,
}

impl From<Answer> for ExitCode {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Yes => Self::SUCCESS,
            Answer::No => Self::FAILURE,
            Answer::Interrupted => Self::from(interrupt::EXIT_CODE),
        }
    }
}
