//! KerasHub's presets, and the `.keras` and weights files of Keras.

pub(crate) mod archive;
pub(crate) mod config;
mod date;
pub(crate) mod objects;
pub(crate) mod shards;
pub(crate) mod weight_map;
