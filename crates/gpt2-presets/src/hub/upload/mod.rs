//! Presets from a folder to a hub.
//!
//! | stage | from | to | file |
//! |---|---|---|---|
//! | 1 | a folder | files that are a preset, and lie in the folder | `preset_checks.rs`, `upload_file.rs` |
//! | 2 | its config | a card, where there is none | `model_card.rs` |
//! | 3 | the files | a commit on Hugging Face, or a version on Kaggle | `hugging_face.rs`, `kaggle.rs`, `sending.rs` |
//! | 4 | large files | the storage behind Hugging Face | `lfs.rs` |
//! | 5 | all of it | `upload_preset` | `upload_preset.rs` |
//!
//! The wire formats are those of huggingface_hub 2.4 and kagglehub 1.0.2.

mod hugging_face;
mod kaggle;
mod lfs;
mod model_card;
mod preset_checks;
mod sending;
mod upload_file;
mod upload_preset;

pub use upload_preset::{upload_preset, upload_preset_with};
