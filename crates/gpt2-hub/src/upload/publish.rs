//! Uploads files to a hub, and returns the model's page.

use crate::client::agent::Client;
use crate::error::{HandlePurpose, HubError};
use crate::handle::HubHandle;
use crate::options::HubOptions;
use crate::upload::upload_file::UploadFile;
use crate::{hugging_face::upload as hugging_face, kaggle::upload as kaggle};

const HUGGING_FACE: &str = "Unexpected Hugging Face URI. Hugging Face model handles should have \
    the form 'hf://[{org}/]{model}'. For example, 'hf://username/bert_base_en' or \
    'hf://bert_case_en' to implicitly upload to your user account";
const KAGGLE: &str = "Unexpected Kaggle URI. Kaggle model handles should have the form \
    'kaggle://{org}/{model}/{framework}/{variation}', without a version: Kaggle counts them";

/// Parses the destination of an upload: `hf://[owner/]model[@branch]`, or
/// `kaggle://owner/model/framework/variation`.
///
/// # Errors
///
/// [`HubError::UnknownUri`], also for ModelScope, and [`HubError::InvalidHandle`].
pub fn upload_handle(uri: &str) -> Result<HubHandle, HubError> {
    let unknown = || HubError::UnknownUri { uri: uri.to_owned() };
    let invalid = |expected| {
        let (handle, purpose) = (uri.to_owned(), HandlePurpose::Upload);
        HubError::InvalidHandle { handle, purpose, expected }
    };
    match HubHandle::parse(uri) {
        Ok(Some(HubHandle::Kaggle(handle))) if handle.version.is_some() => Err(invalid(KAGGLE)),
        Ok(Some(HubHandle::ModelScope(_)) | None) => Err(unknown()),
        Ok(Some(handle)) => Ok(handle),
        Err(HubError::InvalidHandle { .. }) => {
            let scheme = uri.split("://").next().unwrap_or_default().to_ascii_lowercase();
            Err(match scheme.as_str() {
                "hf" => invalid(HUGGING_FACE),
                "kaggle" => invalid(KAGGLE),
                _ => unknown(),
            })
        }
        Err(error) => Err(error),
    }
}

/// Uploads files to Hugging Face or to Kaggle, and returns the address of the model's page.
///
/// A model that does not exist is created, on Kaggle as a private one. Without an owner in the
/// handle, Hugging Face uses the token's owner. On both hubs the model changes as a whole, or not
/// at all. An interrupted upload starts anew, but Hugging Face keeps the large files that it has
/// received completely. Files are read in parts, so memory does not grow with their sizes.
///
/// `card` makes the text of the model card from `owner/model`. It is called for Hugging Face only,
/// and only if neither `files` nor the repository has a `README.md`.
///
/// ```no_run
/// use std::path::Path;
/// use gpt2_hub::{HubOptions, files_to_upload, upload, upload_handle};
///
/// let files = files_to_upload(Path::new("./gpt2_shakespeare"))?;
/// let handle = upload_handle("hf://ann/gpt2_shakespeare")?;
/// let page = upload(&handle, files, |id| format!("# {id}\n"), &HubOptions::new())?;
/// println!("{page}");
/// # Ok::<(), gpt2_hub::HubError>(())
/// ```
///
/// # Errors
///
/// [`HubError::UploadOffline`], [`HubError::MissingCredentials`], [`HubError::NotUploadable`],
/// [`HubError::ChangedDuringUpload`], [`HubError::UploadRefused`], failures of the hub and of the
/// network, and [`HubError::UnknownUri`] for ModelScope.
pub fn upload(
    handle: &HubHandle,
    files: Vec<UploadFile>,
    card: impl FnOnce(&str) -> String,
    options: &HubOptions,
) -> Result<String, HubError> {
    let offline = match handle {
        HubHandle::HuggingFace(_) => options.offline.or(options.hugging_face.offline),
        _ => options.offline,
    };
    if let Some(flag) = offline {
        return Err(HubError::UploadOffline { uri: handle.to_string(), flag });
    }
    let client = Client::new(options);
    match handle {
        HubHandle::HuggingFace(handle) => hugging_face::upload(&client, handle, files, card),
        HubHandle::Kaggle(handle) => kaggle::upload(&client, handle, &files),
        HubHandle::ModelScope(_) => Err(HubError::UnknownUri { uri: handle.to_string() }),
    }
}
