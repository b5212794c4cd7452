//! The crate from outside: handles, configs, loading and saving in both formats, and files that mean harm.

#[cfg(feature = "bundled")]
mod bundled;
mod configs;
mod failed_saves;
mod handles;
mod hostile_hdf5;
mod hostile_safetensors;
mod hostile_shards;
#[cfg(feature = "bundled")]
mod interop;
mod loading;
mod memory_map;
mod saving;
mod support;
mod tokenizers;
mod weights;
