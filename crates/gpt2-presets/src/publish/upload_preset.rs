//! Upload of a preset's folder.

use std::path::Path;

use gpt2_hub::{HubOptions, upload, upload_handle};

use crate::error::PresetError;
use crate::publish::model_card::model_card;
use crate::publish::preset_checks::CheckedPreset;

/// As [`upload_preset_with`], with the options of the environment.
///
/// # Errors
///
/// As [`upload_preset_with`].
pub fn upload_preset(uri: &str, folder: impl AsRef<Path>) -> Result<String, PresetError> {
    upload_preset_with(uri, folder, &HubOptions::new())
}

/// Uploads a preset's folder to Hugging Face or Kaggle, and returns the address of its page.
///
/// `uri` is `hf://[owner/]model[@branch]`, or `kaggle://owner/model/framework/variation`, with the
/// framework `keras` for KerasHub and `transformers` for transformers. A missing model is created,
/// on Kaggle as a private one. Without an owner, Hugging Face uses the token's.
///
/// `folder` was written by [`Save`](crate::Save) in Keras' or transformers' format. Further files
/// in it are uploaded too, except hidden ones, `*.tmp` and `*.incomplete`.
///
/// The folder is checked before a hub is contacted, as in KerasHub's `upload_preset`
/// (`utils/preset_utils.py`). This library must be able to read its config, its weights must be
/// complete, and no file may be a link to the outside. If neither folder nor repository has a
/// `README.md`, Hugging Face gets a model card; none is written to the folder.
///
/// The model changes as a whole on both hubs, or not at all. To continue an interrupted upload,
/// upload again: Hugging Face keeps large files that have arrived. Files are read in parts, so that
/// memory does not grow with their size.
///
/// # Errors
///
/// [`PresetError::PresetDirectoryMissing`], [`PresetError::IncompletePreset`],
/// [`PresetError::InvalidConfigFile`] and other errors of the preset. As [`upload_handle`] and
/// [`upload`](gpt2_hub::upload).
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
