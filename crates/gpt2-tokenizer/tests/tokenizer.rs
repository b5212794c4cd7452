//! Integration tests of the tokenizer.

#[path = "common/mod.rs"]
mod common;

#[path = "tokenizer/airplane.rs"]
mod airplane;
#[path = "tokenizer/decoding.rs"]
mod decoding;
#[path = "tokenizer/equality.rs"]
mod equality;
#[path = "tokenizer/errors.rs"]
mod errors;
#[path = "tokenizer/files.rs"]
mod files;
#[path = "tokenizer/hostile.rs"]
mod hostile;
#[path = "tokenizer/keras_hub.rs"]
mod keras_hub;
#[path = "tokenizer/prose.rs"]
mod prose;
#[path = "tokenizer/tokenizer_json.rs"]
mod tokenizer_json;
#[path = "tokenizer/training.rs"]
mod training;
