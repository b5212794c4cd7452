//! GPT-2's tokenizer: byte-level byte-pair encoding.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod assets;
mod batch;
mod byte_alphabet;
mod char_class;
mod config;
mod cut;
mod decode;
mod decode_stream;
mod encode;
mod error;
mod learn_merges;
mod merge_rules;
mod merges;
mod reserved;
mod split;
mod tables;
mod tokenizer;
mod tokenizer_json;
mod train;
mod vocabulary;

pub use config::{Gpt2TokenizerConfig, SpecialText, SplitPattern, UnknownBytes};
pub use cut::last_word_break;
pub use decode_stream::DecodeStream;
pub use error::{Result, TokenizerError};
pub use gpt2_files::FileError;
pub use merges::Merges;
pub use tokenizer::Gpt2Tokenizer;
pub use train::TokenizerTrainer;
pub use vocabulary::Vocabulary;

/// Id of a token in its vocabulary.
pub type TokenId = u32;
