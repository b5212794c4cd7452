//! GGUF, llama.cpp's format: one file with a model's config, tokenizer and tensors.
//!
//! ggml's `docs/gguf.md` describes the format. llama.cpp's `ggml/src/gguf.cpp`,
//! `src/llama-vocab.cpp` and `src/models/gpt2.cpp` show how it reads a GPT-2.

mod config;
mod cursor;
mod file;
mod file_writer;
pub(crate) mod format;
mod header;
mod keys;
mod layout;
mod limits;
pub(crate) mod magic;
mod metadata;
mod opened_file;
mod tensor_type;
mod tokenizer;
mod value_type;
mod weight_map;
pub(crate) mod write;
