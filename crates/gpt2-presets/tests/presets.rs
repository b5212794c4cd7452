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
#[cfg(feature = "hub")]
mod hub_clients;
#[cfg(feature = "hub")]
mod hub_hugging_face;
#[cfg(feature = "hub")]
mod hub_kaggle;
#[cfg(feature = "hub")]
mod hub_kaggle_refusals;
#[cfg(feature = "hub")]
mod hub_model_scope;
#[cfg(feature = "hub")]
mod hub_offline;
#[cfg(feature = "hub")]
mod hub_processes;
#[cfg(feature = "hub")]
mod hub_refusals;
#[cfg(feature = "hub")]
mod hub_server;
#[cfg(feature = "hub")]
mod hub_sources;
#[cfg(feature = "hub")]
mod hub_transfer;
#[cfg(feature = "hub")]
mod hub_upload;
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
