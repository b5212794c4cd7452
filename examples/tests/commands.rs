//! The examples as commands: outputs, options, mistakes.

mod fine_tune;
mod generate;
mod support;
