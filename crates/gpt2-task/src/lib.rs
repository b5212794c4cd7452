#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod cached_model;
mod causal_lm;
mod causal_lm_preprocessor;
mod decoding;
mod draw;
mod error;
mod generate;
mod probabilities;
pub mod samplers;
mod score;
mod start_end_packer;
mod summary;
#[cfg(feature = "flex")]
#[doc(hidden)]
pub mod testing;
mod token_batch;

pub use causal_lm::Gpt2CausalLm;
pub use causal_lm_preprocessor::{
    Gpt2CausalLmPreprocessor, PreprocessorConfig, TrainingBatch, Truncate,
};
pub use decoding::{Beam, Decoded, Decoding, DrawSource, Matrix, NextToken, OnToken, TokenEvent};
pub use draw::Draw;
pub use error::TaskError;
pub use generate::{GenerateInput, GenerateOptions, GeneratedBeam, Generation, StopTokenIds};
pub use gpt2_tokenizer::TokenId;
pub use probabilities::{argmax, softmax, top_k};
pub use samplers::{Sampler, SearchStrategy};
pub use start_end_packer::{PaddingSide, StartEndPacker};
pub use token_batch::TokenBatch;
