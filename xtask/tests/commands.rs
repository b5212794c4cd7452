//! The commands of `cargo xtask` as processes: outputs, exit codes and files.

mod bench;
mod convert_preset;
mod devices;
mod presets;
mod support;
mod train_tokenizer;
mod verify_preset;
