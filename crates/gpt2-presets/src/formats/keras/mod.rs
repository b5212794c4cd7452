//! KerasHub's presets, and the `.keras` and weights files of Keras.

pub(crate) mod archive;
pub(crate) mod config;
mod date;
pub(crate) mod format;
mod limits;
pub(crate) mod names;
pub(crate) mod objects;
pub(crate) mod shards;
mod tokenizer;
pub(crate) mod weight_map;
pub(crate) mod weights_writer;
pub(crate) mod write;
