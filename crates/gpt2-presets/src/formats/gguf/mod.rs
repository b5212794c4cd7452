//! GGUF, the file of llama.cpp: config, tokenizer and tensors of a model in one.
//!
//! The format is described in ggml's `docs/gguf.md`; what llama.cpp accepts of it, and what it
//! makes of a GPT-2, in its `ggml/src/gguf.cpp`, `src/llama-vocab.cpp` and `src/models/gpt2.cpp`.

pub(crate) mod config;
mod cursor;
pub(crate) mod file;
mod header;
pub(crate) mod keys;
mod layout;
mod metadata;
mod tensor_type;
pub(crate) mod tokenizer;
mod value_type;
pub(crate) mod weight_map;
pub(crate) mod writer;
