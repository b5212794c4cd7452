//! Opens the folder of a model, and lists its cached files.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cache_folder::total_size;
use crate::client::agent::Client;
use crate::error::HubError;
use crate::handle::HubHandle;
use crate::hugging_face::cache as hugging_face_cache;
use crate::hugging_face::folder::HuggingFaceFolder;
use crate::kaggle::cache as kaggle_cache;
use crate::kaggle::folder::KaggleFolder;
use crate::model_scope::cache as model_scope_cache;
use crate::model_scope::folder::ModelScopeFolder;
use crate::options::HubOptions;
use crate::pins::check_pins;
use crate::remote_folder::RemoteFolder;

/// Files of a model in the cache of one hub.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CachedFiles {
    /// Handle of the model on the hub: `kaggle://keras/gpt2/keras/gpt2_base_en/3`.
    pub source: String,
    /// Complete files, sorted.
    pub files: Vec<PathBuf>,
    /// Total size of the files in bytes.
    pub size: u64,
}

/// Opens the folder of a model, given its handles.
///
/// With one handle, no request is made yet. With several, the result is the first folder that has
/// `marker_file`, a file that every such model has. The hub with the most bytes in its cache comes
/// first, so that nothing large is downloaded twice from different hubs. `name` is the model's name
/// in messages.
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
        // The first file that is read shows whether the folder exists.
        return folder(handle, &client);
    }
    let mut folders: Vec<_> = handles.iter().map(|handle| folder(handle, &client)).collect();
    let cached = |folder: &Arc<dyn RemoteFolder>| total_size(&folder.cached_files());
    // The sort is stable: equal sizes keep the order of the handles.
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

/// Finds the cached files of a model, whether this library or a hub's own client downloaded them.
///
/// Returns an element for each handle whose hub has a file in its cache, in the order of the
/// handles. Makes no request.
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
        // Without a cache folder, no file is cached.
        let Ok(folder) = folder(handle, &client) else { continue };
        let files = folder.cached_files();
        if !files.is_empty() {
            let size = total_size(&files);
            found.push(CachedFiles { source: handle.to_string(), files, size });
        }
    }
    found
}

/// Finds all models in the caches, whether this library or a hub's own client downloaded them.
///
/// A model has an element for each of its revisions with a file. Makes no request.
///
/// ```
/// use gpt2_hub::{HubOptions, cached_models};
///
/// for cached in cached_models(&HubOptions::new()) {
///     println!("{}: {} bytes", cached.source, cached.size);
/// }
/// ```
pub fn cached_models(options: &HubOptions) -> Vec<CachedFiles> {
    let handles_in = |root: &Option<PathBuf>, handles: fn(&Path) -> Vec<String>| {
        root.as_deref().map(handles).unwrap_or_default()
    };
    // A model may be in several folders of a cache.
    let mut handles = BTreeSet::new();
    handles.extend(handles_in(&options.hugging_face.cache, hugging_face_cache::cached_handles));
    handles.extend(handles_in(&options.kaggle.cache, kaggle_cache::cached_handles));
    handles.extend(handles_in(&options.model_scope.cache, model_scope_cache::cached_handles));
    // Any other name is that of another program's folder.
    let handles: Vec<_> = handles.iter().filter_map(|handle| handle.parse().ok()).collect();
    cached_files(&handles, options)
}

fn folder(handle: &HubHandle, client: &Client) -> Result<Arc<dyn RemoteFolder>, HubError> {
    let client = client.clone();
    Ok(match handle {
        HubHandle::Kaggle(handle) => Arc::new(KaggleFolder::new(handle, client)?),
        HubHandle::HuggingFace(handle) => Arc::new(HuggingFaceFolder::new(handle, client)?),
        HubHandle::ModelScope(handle) => Arc::new(ModelScopeFolder::new(handle, client)?),
    })
}
