//! The commands of `gpt2`: outputs, options, mistakes.

mod failures;
mod generate;
mod help;
#[cfg(unix)]
mod pages;
mod support;
mod train;
mod work;
