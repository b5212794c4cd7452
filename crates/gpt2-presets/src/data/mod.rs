//! Training data on the disk, larger than memory: files to text, text to token ids, these to
//! windows of equal length.
//!
//! The way of a text: `paths` (which files), `corpus` with `text_file` and `json_lines_file`
//! (documents, in parts), `tokenize_parts` and `tokenize_corpus` (ids), `token_cache` (their file),
//! `token_shard` and `token_shards` (ids of files, one after another), `packed_dataset` (windows).
//! `open_training_data` joins them.

mod corpus;
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
pub use open_training_data::{TrainingDataOptions, open_training_data};
pub use packed_dataset::PackedDataset;
pub use token_shards::TokenShards;
pub use tokenize_options::TokenizeOptions;
