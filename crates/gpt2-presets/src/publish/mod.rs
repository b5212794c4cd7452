//! Uploads of presets to hubs.

mod model_card;
mod preset_checks;
mod upload_preset;

pub use upload_preset::{upload_preset, upload_preset_with};
