//! The commands, each a file or folder with its `Arguments` and `run`.

pub mod bench;
pub mod completions;
pub mod convert;
pub mod devices;
pub mod doctor;
pub mod eval;
pub mod generate;
pub mod man;
pub mod models;
pub mod score;
pub mod tokenizer;
pub mod train;
pub mod verify;
