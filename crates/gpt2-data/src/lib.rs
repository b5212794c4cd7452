#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod documents;
mod error;
mod open_training_data;
mod packed_dataset;
mod paths;
mod shards;
mod tokenize;

pub use documents::corpus::Corpus;
pub use error::DataError;
pub use open_training_data::{TrainingDataOptions, open_training_data};
pub use packed_dataset::PackedDataset;
pub use shards::token_shards::TokenShards;
pub use tokenize::tokenize_options::TokenizeOptions;
