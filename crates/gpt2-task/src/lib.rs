#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod arguments;
mod cached_model;
pub mod callbacks;
mod causal_lm;
mod causal_lm_preprocessor;
mod decoding;
mod draw;
mod error;
mod fingerprint;
mod generate;
mod next_token;
pub mod optimizers;
mod probabilities;
pub mod samplers;
mod score;
mod start_end_packer;
mod summary;
#[cfg(feature = "flex")]
#[doc(hidden)]
pub mod testing;
mod token_batch;
mod training;

pub use callbacks::{BoxError, Callback};
pub use causal_lm::Gpt2CausalLm;
pub use causal_lm_preprocessor::{Gpt2CausalLmPreprocessor, PreprocessorConfig, Truncate};
pub use decoding::{Beam, Decoded, Decoding, DrawSource, OnToken, TokenEvent};
pub use draw::Draw;
pub use error::TaskError;
pub use fingerprint::Fingerprint;
pub use generate::{GenerateInput, GenerateOptions, GeneratedBeam, Generation, StopTokenIds};
pub use gpt2_kernels::{TokenChoice, reuse_memory};
pub use gpt2_tokenizer::TokenId;
pub use next_token::{Matrix, NextToken, TokenProbability, TokenRequest};
pub use probabilities::{argmax, softmax, top_k};
pub use samplers::{Sampler, SearchStrategy};
pub use start_end_packer::{PaddingSide, StartEndPacker};
pub use token_batch::TokenBatch;
pub use training::checkpoint::{CheckpointStore, TrainingCheckpoint};
pub use training::compile::{CompileOptions, Precision};
pub use training::dataset::{BatchIterator, Dataset, TrainingBatch, TrainingData};
pub use training::fit_options::{FitOptions, ValidationFreq};
pub use training::history::History;
pub use training::logs::Logs;
pub use training::loss::{Reduction, SparseCategoricalCrossentropy};
pub use training::metrics::Metric;
pub use training::plot::plot;
pub use training::schedule::{
    CosineDecay, CosineDecayRestarts, ExponentialDecay, InverseTimeDecay, LearningRate,
    PiecewiseConstantDecay, PolynomialDecay,
};
pub use training::trainer::Trainer;
