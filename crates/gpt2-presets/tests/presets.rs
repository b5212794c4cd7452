//! The crate from outside: handles, configs, loading and saving in all formats, and files that mean harm.

#[cfg(feature = "bundled")]
mod bundled;
mod checkpoints;
mod configs;
mod converting;
mod exporting;
mod failed_saves;
mod gguf;
mod gguf_builder;
mod handles;
mod hostile_gguf;
mod hostile_hdf5;
mod hostile_safetensors;
mod hostile_shards;
#[cfg(feature = "bundled")]
mod interop;
#[cfg(feature = "bundled")]
mod interop_gguf;
mod keras_files;
mod killed_saves;
mod loading;
mod lora;
mod memory_map;
mod model_checkpoint;
mod model_weights;
mod pytorch;
mod saving;
mod sharding;
mod support;
mod tokenizers;
mod weights;
