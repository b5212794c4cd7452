//! Upload of a preset's folder.

use std::path::Path;

use gpt2_hub::{HubOptions, upload, upload_handle};

use crate::error::PresetError;
use crate::publish::model_card::model_card;
use crate::publish::preset_checks::CheckedPreset;

/// Uploads a preset's folder as [`upload_preset_with`] does, with the options of the environment.
///
/// # Errors
///
/// Those of [`upload_preset_with`].
pub fn upload_preset(uri: &str, folder: impl AsRef<Path>) -> Result<String, PresetError> {
    upload_preset_with(uri, folder, &HubOptions::new())
}

/// Uploads a preset's folder to Hugging Face or to Kaggle, and returns the address of its page.
///
/// `uri` is `hf://[owner/]model[@branch]`, or `kaggle://owner/model/framework/variation` (of
/// KerasHub `keras`, of transformers `transformers`). A model that does not exist is created, on
/// Kaggle for the owner's eyes only; without an owner, Hugging Face takes the token's. `folder` was
/// written by [`Save`](crate::Save) in Keras' or transformers' format, and may hold more: all its
/// files are uploaded but hidden ones, `*.tmp` and `*.incomplete`.
///
/// Before any hub is asked, the folder is checked as KerasHub's `upload_preset` does
/// (`utils/preset_utils.py`): its config must be one that this library reads, its weights must be
/// whole, and no file may be a link that leaves it. If neither folder nor repository has a
/// `README.md`, Hugging Face gets a model card, of which nothing is left in the folder.
///
/// On both hubs the model changes as a whole, or not at all. An upload that broke off is made
/// again: Hugging Face keeps the large files that it has whole. Files are read in parts, so memory
/// does not grow with them.
///
/// # Errors
///
/// [`PresetError::PresetDirectoryMissing`], [`PresetError::IncompletePreset`],
/// [`PresetError::InvalidConfigFile`] and other faults of the preset; those of [`upload_handle`]
/// and [`upload`](gpt2_hub::upload).
///
/// ```no_run
/// use gpt2_presets::{HubOptions, upload_preset_with};
///
/// let options = HubOptions::new().with_on_progress(|it| eprintln!("{}: {}", it.file, it.done));
/// let page = upload_preset_with("hf://ann/gpt2_shakespeare", "./gpt2_shakespeare", &options)?;
/// println!("{page}");
/// # Ok::<(), gpt2_presets::PresetError>(())
/// ```
pub fn upload_preset_with(
    uri: &str,
    folder: impl AsRef<Path>,
    options: &HubOptions,
) -> Result<String, PresetError> {
    let preset = CheckedPreset::open(folder.as_ref())?;
    let (handle, files) = (upload_handle(uri)?, preset.files.clone());
    Ok(upload(&handle, files, |id| model_card(&preset, id), options)?)
}
