#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod corpus;
mod error;
mod json_lines_file;
mod open_training_data;
mod packed_dataset;
mod paths;
mod text_file;
mod token_cache;
mod token_shard;
mod token_shards;
mod tokenize_corpus;
mod tokenize_options;
mod tokenize_parts;

pub use corpus::Corpus;
pub use error::DataError;
pub use open_training_data::{TrainingDataOptions, open_training_data};
pub use packed_dataset::PackedDataset;
pub use token_shards::TokenShards;
pub use tokenize_options::TokenizeOptions;
