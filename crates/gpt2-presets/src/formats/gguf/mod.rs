//! GGUF, the file of llama.cpp: config, tokenizer and tensors of a model in one.
//!
//! The format is described in ggml's `docs/gguf.md`; what llama.cpp accepts of it, and what it
//! makes of a GPT-2, in its `ggml/src/gguf.cpp`, `src/llama-vocab.cpp` and `src/models/gpt2.cpp`.

mod config;
mod cursor;
mod file;
mod file_writer;
pub(crate) mod format;
mod header;
mod keys;
mod layout;
mod limits;
mod metadata;
mod opened_file;
mod tensor_type;
mod tokenizer;
mod value_type;
mod weight_map;
pub(crate) mod write;
