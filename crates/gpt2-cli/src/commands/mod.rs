//! The commands: a file or a folder each, with its `Arguments` and its `run`.

pub mod convert;
pub mod devices;
pub mod generate;
pub mod models;
pub mod tokenizer;
pub mod train;
pub mod verify;
