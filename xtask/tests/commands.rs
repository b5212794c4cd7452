//! The commands of `cargo xtask`, each as a process.

mod bench;
mod convert_preset;
mod devices;
mod presets;
mod support;
mod train_tokenizer;
mod verify_preset;
