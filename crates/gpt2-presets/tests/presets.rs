//! Tests of the public interface: handles, configs, loading and saving in all formats, malicious
//! files.

#[cfg(feature = "bundled")]
mod bundled;
mod checkpoints;
mod configs;
mod converting;
mod exporting;
mod failed_saves;
#[cfg(feature = "hub")]
#[path = "../../gpt2-hub/tests/fakes/mod.rs"]
#[allow(dead_code, reason = "the tests of gpt2-hub use the rest")]
mod fakes;
mod gguf;
mod gguf_builder;
mod handles;
mod hostile_gguf;
mod hostile_hdf5;
mod hostile_safetensors;
mod hostile_shards;
#[cfg(feature = "hub")]
mod hub_loading;
#[cfg(feature = "hub")]
mod hub_offline;
#[cfg(feature = "hub")]
mod hub_publish;
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
