#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

mod api;
mod error;
mod file_kind;
mod formats;
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

pub use api::from_preset::FromPreset;
pub use api::load_options::LoadOptions;
pub use api::model_weights::ModelWeights;
pub use api::replaceable::check_replaceable;
pub use api::save::Save;
pub use api::save_options::SaveOptions;
pub use error::PresetError;
pub use formats::preset_format::PresetFormat;
pub use gpt2_backbone::WeightDtype;
pub use gpt2_data::{
    Corpus, DataError, PackedDataset, TokenShards, TokenizeOptions, TrainingDataOptions,
    open_training_data,
};
pub use gpt2_files::FileError;
#[cfg(feature = "hub")]
pub use gpt2_hub::{CachedFiles, DownloadProgress, HubOptions};
pub use gpt2_hub::{HandlePurpose, HubError, ModelErrorKind, RequestErrorKind};
pub use open::builtin::{PresetInfo, presets};
#[cfg(feature = "hub")]
pub use open::cached_files::{CachedPreset, cached_files, cached_presets};
pub use open::local_size::local_size;
pub use preset::Preset;
#[cfg(feature = "hub")]
pub use publish::{upload_preset, upload_preset_with};
pub use training::lora_weights::LoraWeights;
pub use training::model_checkpoint::ModelCheckpoint;
pub use training::training_checkpoint::CheckpointFolder;
pub use weights::load_report::LoadReport;
