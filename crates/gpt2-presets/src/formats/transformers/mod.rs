//! Models of the transformers library.

mod config;
pub(crate) mod format;
mod limits;
pub(crate) mod names;
mod objects;
mod shards;
mod tokenizer;
mod weight_map;
mod weights_writer;
pub(crate) mod write;
