#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

mod builtin;
#[cfg(feature = "bundled")]
mod bundled;
mod checkpoint;
mod data;
mod date;
mod error;
mod export_options;
mod export_to_transformers;
mod expressible;
mod files;
mod float_reader;
mod float_writer;
mod format;
mod from_preset;
mod gguf;
mod handle;
mod hdf5_file;
mod hdf5_writer;
#[cfg(feature = "hub")]
mod hub;
mod keras_archive;
mod keras_config;
mod keras_objects;
mod keras_shards;
mod keras_weight_map;
mod load;
mod load_options;
mod lora_file;
mod lora_format;
mod lora_weights;
mod model_checkpoint;
mod model_weights;
mod named_tensor;
mod named_tensors_writer;
mod on_progress;
mod part;
mod pickle;
mod placed_checkpoint;
mod placed_parameters;
mod preset;
mod preset_tokenizer;
#[cfg(feature = "progress")]
pub mod progress_bars;
mod pytorch_file;
mod safetensors_file;
mod safetensors_header;
mod safetensors_layout;
mod safetensors_writer;
mod save_options;
mod save_to_preset;
mod shards;
mod training_checkpoint;
mod transformers_config;
mod transformers_objects;
mod transformers_shards;
mod transformers_weight_map;
mod weight_dtype;
mod weight_map;
mod zip_members;

pub use builtin::{PresetInfo, presets};
pub use data::{
    Corpus, PackedDataset, TokenShards, TokenizeOptions, TrainingDataOptions, open_training_data,
};
pub use error::PresetError;
pub use export_options::ExportOptions;
pub use export_to_transformers::ExportToTransformers;
pub use format::PresetFormat;
pub use from_preset::{FromPreset, FromPresetOnDevice};
pub use gguf::export::ExportToGguf;
pub use gpt2_backbone::WeightDtype;
pub use gpt2_files::FileError;
#[cfg(feature = "hub")]
pub use hub::{
    CachedFiles, DownloadProgress, HubOptions, cached_files, upload_preset, upload_preset_with,
};
pub use load::LoadReport;
pub use load_options::LoadOptions;
pub use lora_weights::LoraWeights;
pub use model_checkpoint::ModelCheckpoint;
pub use model_weights::ModelWeights;
pub use preset::Preset;
pub use save_options::SaveOptions;
pub use save_to_preset::SaveToPreset;
pub use training_checkpoint::CheckpointFolder;

/// Compiles the program in the workspace's README.
#[cfg(all(doctest, feature = "bundled"))]
#[doc = include_str!("../../../README.md")]
struct WorkspaceReadme;
