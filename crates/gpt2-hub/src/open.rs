//! Handles to folders, and to the files of them that are in a cache.

use std::cmp::Reverse;
use std::path::PathBuf;
use std::sync::Arc;

use crate::cache_folder::total_size;
use crate::client::agent::Client;
use crate::error::HubError;
use crate::handle::HubHandle;
use crate::hugging_face::folder::HuggingFaceFolder;
use crate::kaggle::folder::KaggleFolder;
use crate::model_scope::folder::ModelScopeFolder;
use crate::options::HubOptions;
use crate::pins::check_pins;
use crate::remote_folder::RemoteFolder;

/// Files of a model that are in the cache of one hub.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CachedFiles {
    /// Handle of the model on the hub: `kaggle://keras/gpt2/keras/gpt2_base_en/3`.
    pub source: String,
    /// The whole files, sorted.
    pub files: Vec<PathBuf>,
    /// Size in bytes of all files together.
    pub size: u64,
}

/// Opens the folder of a model, given the handles that have it.
///
/// With one handle, the hub is not asked anything yet. With several, the folder is the first one that
/// has `marker_file`, a file that every such model has. The hub with most bytes in its cache is asked
/// first, so that nothing large is downloaded a second time from another hub. `name` is the model's
/// name in messages.
///
/// ```
/// use gpt2_hub::{HubError, HubHandle, HubOptions, open};
///
/// let handle: HubHandle = "hf://openai-community/gpt2".parse()?;
/// let options = HubOptions::new().with_offline(true).with_hugging_face_cache("no/such/cache");
/// let folder = open("gpt2", &[handle], "config.json", &options)?;
/// let error = folder.fetch("config.json").unwrap_err();
/// assert!(matches!(error, HubError::Offline { .. }));
/// # Ok::<(), HubError>(())
/// ```
///
/// # Errors
///
/// [`HubError::NoSource`] with the failure of each of several hubs, [`HubError::NoCacheFolder`],
/// [`HubError::InvalidOption`], and failures of the disk.
pub fn open(
    name: &str,
    handles: &[HubHandle],
    marker_file: &str,
    options: &HubOptions,
) -> Result<Arc<dyn RemoteFolder>, HubError> {
    check_pins(options)?;
    let client = Client::new(options);
    if let [handle] = handles {
        // A file that it lacks shows later.
        return folder(handle, &client);
    }
    let mut folders: Vec<_> = handles.iter().map(|handle| folder(handle, &client)).collect();
    let cached = |folder: &Arc<dyn RemoteFolder>| total_size(&folder.cached_files());
    // Stable: equals stay in their order.
    folders.sort_by_key(|folder| Reverse(folder.as_ref().map_or(0, cached)));
    let mut failures = Vec::new();
    for folder in folders {
        match folder.and_then(|folder| Ok((folder.fetch(marker_file)?, folder))) {
            Ok((Some(_), folder)) => return Ok(folder),
            Ok((None, folder)) => {
                let (folder, file) = (folder.display(""), marker_file.to_owned());
                failures.push(HubError::NoMarkerFile { folder, file });
            }
            Err(failure) if failure.is_of_hub() => failures.push(failure),
            Err(failure) => return Err(failure),
        }
    }
    Err(HubError::NoSource { name: name.to_owned(), failures })
}

/// Finds the files of a model that were downloaded, by this library or by the hubs' own clients.
///
/// Returns an element for each handle with a file in its hub's cache, in the order of the handles. No
/// hub is asked anything.
///
/// ```
/// use gpt2_hub::{HubHandle, HubOptions, cached_files};
///
/// let handles: [HubHandle; 1] = ["hf://openai-community/gpt2".parse()?];
/// for cached in cached_files(&handles, &HubOptions::new()) {
///     println!("{}: {} files, {} bytes", cached.source, cached.files.len(), cached.size);
/// }
/// # Ok::<(), gpt2_hub::HubError>(())
/// ```
pub fn cached_files(handles: &[HubHandle], options: &HubOptions) -> Vec<CachedFiles> {
    let client = Client::new(options);
    let mut found = Vec::new();
    for handle in handles {
        // Without a folder for the cache, nothing is in it.
        let Ok(folder) = folder(handle, &client) else { continue };
        let files = folder.cached_files();
        if !files.is_empty() {
            let size = total_size(&files);
            found.push(CachedFiles { source: handle.to_string(), files, size });
        }
    }
    found
}

fn folder(handle: &HubHandle, client: &Client) -> Result<Arc<dyn RemoteFolder>, HubError> {
    let client = client.clone();
    Ok(match handle {
        HubHandle::Kaggle(handle) => Arc::new(KaggleFolder::new(handle, client)?),
        HubHandle::HuggingFace(handle) => Arc::new(HuggingFaceFolder::new(handle, client)?),
        HubHandle::ModelScope(handle) => Arc::new(ModelScopeFolder::new(handle, client)?),
    })
}
