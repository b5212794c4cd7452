//! The commands of `cargo xtask` from outside: outputs, exit codes, and what they leave.

mod bench;
mod convert_preset;
mod devices;
mod presets;
mod support;
mod train_tokenizer;
mod verify_preset;
