//! KerasHub's functions on the types themselves: load, save and export, with their options.

pub(crate) mod export_options;
pub(crate) mod export_to_gguf;
pub(crate) mod export_to_transformers;
pub(crate) mod from_preset;
pub(crate) mod load_options;
pub(crate) mod model_weights;
pub(crate) mod save_options;
pub(crate) mod save_to_preset;
