//! The commands of `gpt2`: outputs, options, mistakes.

mod generate;
mod support;
mod train;
