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
mod format;
mod from_preset;
mod handle;
mod hdf5_file;
mod hdf5_writer;
#[cfg(feature = "hub")]
mod hub;
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
mod named_tensor;
mod named_tensors_writer;
mod placed_parameters;
mod preset;
mod preset_tokenizer;
mod safetensors_file;
mod safetensors_header;
mod safetensors_layout;
mod safetensors_writer;
mod save_options;
mod save_to_preset;
mod shards;
mod staging;
mod training_checkpoint;
mod transformers_config;
mod transformers_objects;
mod transformers_weight_map;
mod weight_map;

pub use builtin::{PresetInfo, presets};
pub use data::{
    Corpus, PackedDataset, TokenShards, TokenizeOptions, TrainingDataOptions, open_training_data,
};
pub use error::PresetError;
pub use export_options::{ExportDtype, ExportOptions};
pub use export_to_transformers::ExportToTransformers;
pub use format::PresetFormat;
pub use from_preset::{FromPreset, FromPresetOnDevice};
#[cfg(feature = "hub")]
pub use hub::{
    CachedFiles, DownloadProgress, HubOptions, cached_files, upload_preset, upload_preset_with,
};
pub use load::LoadReport;
pub use load_options::LoadOptions;
pub use lora_weights::LoraWeights;
pub use model_checkpoint::ModelCheckpoint;
pub use preset::Preset;
pub use save_options::SaveOptions;
pub use save_to_preset::SaveToPreset;
pub use training_checkpoint::CheckpointFolder;

/// Compiles the program in the workspace's README.
#[cfg(all(doctest, feature = "bundled"))]
#[doc = include_str!("../../../README.md")]
struct WorkspaceReadme;
