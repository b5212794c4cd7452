//! Upload stage 5: a folder and the place for it to a model's page.

use std::path::Path;

use super::preset_checks::CheckedPreset;
use super::{hugging_face, kaggle};
use crate::PresetError;
use crate::handle::{HubHandle, hub_handle};
use crate::hub::client::Client;
use crate::hub::options::HubOptions;

/// Uploads a preset's folder to Hugging Face or to Kaggle, with what the environment says.
///
/// As [`upload_preset_with`].
///
/// # Errors
///
/// Those of [`upload_preset_with`].
pub fn upload_preset(uri: &str, folder: impl AsRef<Path>) -> Result<String, PresetError> {
    upload_preset_with(uri, folder, &HubOptions::new())
}

/// Uploads a preset's folder to Hugging Face or to Kaggle, and returns the address of its page.
///
/// `uri` is `hf://[owner/]model[@branch]`, or `kaggle://owner/model/framework/variation` (of KerasHub
/// `keras`, of transformers `transformers`). What is not there is created, on Kaggle for the owner's
/// eyes only; without an owner, Hugging Face takes the token's. `folder` is what
/// [`SaveToPreset`](crate::SaveToPreset) or [`ExportToTransformers`](crate::ExportToTransformers)
/// wrote, and may hold more: all its files are uploaded but hidden ones, `*.tmp` and `*.incomplete`.
///
/// Before anything is asked, the folder is checked as KerasHub's `upload_preset` does
/// (`utils/preset_utils.py`): its config must be one that this library reads, its weights must be
/// whole, and no file may be a link that leaves it. Where neither folder nor repository has a
/// `README.md`, Hugging Face gets a model card, of which nothing is left in the folder.
///
/// On both hubs the model changes as a whole, or not at all. An upload that broke off is made again:
/// Hugging Face keeps the large files that it has whole. Files are read in parts, so memory does not
/// grow with them.
///
/// # Errors
///
/// [`PresetError::PresetDirectoryMissing`], [`PresetError::IncompletePreset`],
/// [`PresetError::InvalidConfigFile`] and what else is wrong with the preset;
/// [`PresetError::NotUploadable`], [`PresetError::UnknownUri`], [`PresetError::InvalidUri`],
/// [`PresetError::UploadOffline`], [`PresetError::MissingCredentials`],
/// [`PresetError::UploadRefused`], and what can happen to a connection.
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
    let target = target(uri)?;
    let offline = match &target {
        HubHandle::HuggingFace(_) => options.offline.or(options.hugging_face.offline),
        _ => options.offline,
    };
    if let Some(flag) = offline {
        return Err(PresetError::UploadOffline { uri: uri.to_owned(), flag });
    }
    let client = Client::new(options);
    match &target {
        HubHandle::HuggingFace(handle) => hugging_face::upload(&client, preset, handle),
        HubHandle::Kaggle(handle) => kaggle::upload(&client, &preset, handle),
        HubHandle::ModelScope(_) => Err(PresetError::UnknownUri { uri: uri.to_owned() }),
    }
}

const HUGGING_FACE: &str = "Unexpected Hugging Face URI. Hugging Face model handles should have \
    the form 'hf://[{org}/]{model}'. For example, 'hf://username/bert_base_en' or \
    'hf://bert_case_en' to implicitly upload to your user account";
const KAGGLE: &str = "Unexpected Kaggle URI. Kaggle model handles should have the form \
    'kaggle://{org}/{model}/{framework}/{variation}', without a version: Kaggle counts them";

fn target(uri: &str) -> Result<HubHandle, PresetError> {
    let invalid = |expected| PresetError::InvalidUri { uri: uri.to_owned(), expected };
    match hub_handle(uri) {
        Ok(Some(HubHandle::Kaggle(handle))) if handle.version.is_some() => Err(invalid(KAGGLE)),
        Ok(Some(handle)) => Ok(handle),
        Ok(None) => Err(PresetError::UnknownUri { uri: uri.to_owned() }),
        Err(PresetError::InvalidHandle { .. }) => {
            let scheme = uri.split("://").next().unwrap_or_default().to_ascii_lowercase();
            match scheme.as_str() {
                "hf" => Err(invalid(HUGGING_FACE)),
                "kaggle" => Err(invalid(KAGGLE)),
                _ => Err(PresetError::UnknownUri { uri: uri.to_owned() }),
            }
        }
        Err(error) => Err(error),
    }
}
