//! Models of the transformers library.

pub(crate) mod config;
pub(crate) mod objects;
pub(crate) mod shards;
pub(crate) mod weight_map;
pub(crate) mod weights;
