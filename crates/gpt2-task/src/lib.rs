#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod arguments;
pub mod catalogue;
mod causal_lm;
mod causal_lm_preprocessor;
mod choice_text;
mod error;
mod fingerprint;
mod generation;
mod owned_backbone;
mod score;
mod start_end_packer;
mod summary;
#[cfg(feature = "flex")]
#[doc(hidden)]
pub mod testing;
mod token_batch;
mod training;
mod training_batch;

pub use gpt2_backbone::LoraConfig;
pub use gpt2_kernels::{TokenChoice, reuse_memory};
pub use gpt2_tokenizer::TokenId;

pub use causal_lm::Gpt2CausalLm;
pub use causal_lm_preprocessor::{Gpt2CausalLmPreprocessor, PreprocessorConfig, Truncate};
pub use error::{BoxError, TaskError};
pub use fingerprint::Fingerprint;
pub use generation::decoding::{Beam, Decoded, Decoding};
pub use generation::device_step::model::{DeviceModel, TokenRequest};
pub use generation::draw::{Draw, DrawSource};
pub use generation::generate::{GenerateInput, GeneratedBeam, Generation};
pub use generation::logits_processor::{LogitsProcessor, LogitsProcessors};
pub use generation::matrix::Matrix;
pub use generation::next_token::NextToken;
pub use generation::options::{GenerateOptions, StopTokenIds};
pub use generation::probabilities::{argmax, softmax, top_k};
pub use generation::rows::{OnToken, TokenEvent};
pub use generation::samplers::{self, Sampler, SearchStrategy};
pub use generation::top_tokens::TokenProbability;
pub use start_end_packer::{PaddingSide, StartEndPacker};
#[doc(hidden)]
pub use summary::grouped;
pub use token_batch::TokenBatch;
pub use training::callbacks::{self, Callback};
pub use training::checkpoint::{CheckpointStore, TrainingCheckpoint};
pub use training::compile::{CompileOptions, IntoCompileOptions, Precision};
pub use training::dataset::{BatchIterator, Dataset, TextIterator, TrainingData};
pub use training::fit_options::{FitOptions, ValidationFreq};
pub use training::history::History;
pub use training::logs::Logs;
pub use training::loss::{Reduction, SparseCategoricalCrossentropy};
pub use training::metrics::Metric;
pub use training::optimizers;
pub use training::plot::plot;
pub use training::schedule::{
    CosineDecay, CosineDecayRestarts, ExponentialDecay, InverseTimeDecay, LearningRate,
    PiecewiseConstantDecay, PolynomialDecay,
};
pub use training::trainer::Trainer;
pub use training_batch::TrainingBatch;
