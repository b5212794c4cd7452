#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

mod builtin;
#[cfg(feature = "bundled")]
mod bundled;
mod checkpoint;
mod error;
mod files;
mod format;
mod from_preset;
mod handle;
mod hdf5_file;
mod keras_config;
mod keras_weight_map;
mod load;
mod load_options;
mod preset;
mod preset_tokenizer;
mod safetensors_file;
mod safetensors_header;
mod shards;
mod transformers_config;
mod transformers_weight_map;
mod weight_map;

pub use builtin::{PresetInfo, presets};
pub use error::PresetError;
pub use format::PresetFormat;
pub use from_preset::{FromPreset, FromPresetOnDevice};
pub use load::LoadReport;
pub use load_options::LoadOptions;
pub use preset::Preset;
