//! Presets from a folder to a hub.

mod model_card;
mod preset_checks;
mod upload_preset;

pub use upload_preset::{upload_preset, upload_preset_with};
