//! The crate from outside: handles, configs, both formats, and files that mean harm.

#[cfg(feature = "bundled")]
mod bundled;
mod configs;
mod handles;
mod hostile_hdf5;
mod hostile_safetensors;
mod hostile_shards;
mod loading;
mod memory_map;
mod support;
mod tokenizers;
mod weights;
