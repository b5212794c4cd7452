//! The commands of `gpt2`: outputs, options, errors.

mod failures;
mod generate;
mod help;
mod support;
mod train;
mod work;
