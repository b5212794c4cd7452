//! The commands of `gpt2`: outputs, options, errors.

mod failures;
mod generate;
mod help;
#[cfg(unix)]
mod pages;
mod support;
mod train;
mod work;
