#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

mod api;
mod builtin;
#[cfg(feature = "hub")]
mod cached_files;
mod error;
mod formats;
mod locate;
mod open;
mod preset;
#[cfg(feature = "progress")]
pub mod progress_bars;
#[cfg(feature = "hub")]
mod publish;
mod source;
mod tensors;
mod training;
mod weights;

pub use api::export_options::ExportOptions;
pub use api::export_to_gguf::ExportToGguf;
pub use api::export_to_transformers::ExportToTransformers;
pub use api::from_preset::{FromPreset, FromPresetOnDevice};
pub use api::load_options::LoadOptions;
pub use api::model_weights::ModelWeights;
pub use api::save_options::SaveOptions;
pub use api::save_to_preset::SaveToPreset;
pub use builtin::{PresetInfo, presets};
#[cfg(feature = "hub")]
pub use cached_files::cached_files;
pub use error::PresetError;
pub use formats::format::PresetFormat;
pub use gpt2_backbone::WeightDtype;
pub use gpt2_data::{
    Corpus, DataError, PackedDataset, TokenShards, TokenizeOptions, TrainingDataOptions,
    open_training_data,
};
pub use gpt2_files::FileError;
#[cfg(feature = "hub")]
pub use gpt2_hub::{CachedFiles, DownloadProgress, HubOptions};
pub use gpt2_hub::{HubError, ModelErrorKind, RequestErrorKind};
pub use preset::Preset;
#[cfg(feature = "hub")]
pub use publish::{upload_preset, upload_preset_with};
pub use training::lora_weights::LoraWeights;
pub use training::model_checkpoint::ModelCheckpoint;
pub use training::training_checkpoint::CheckpointFolder;
pub use weights::load::LoadReport;

/// Compiles the program in the workspace's README.
#[cfg(all(doctest, feature = "bundled"))]
#[doc = include_str!("../../../README.md")]
struct WorkspaceReadme;
