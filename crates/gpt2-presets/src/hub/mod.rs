//! Stage 2, on a hub: a handle to files that are downloaded when they are asked for, whole and
//! checked, into the cache of the hub's own Python client.
//!
//! | stage | from | to | file |
//! |---|---|---|---|
//! | 2a | the environment, and the user's wishes | options | `options.rs`, `kaggle_options.rs`, `model_scope_options.rs`, `cookie_jar.rs` |
//! | 2b | a question | its answer, over retries and redirects | `client.rs`, `url.rs`, `retry.rs` |
//! | 2c | an address | a file on the disk that is what was promised | `transfer.rs`, `partial.rs`, `digest.rs`, `progress.rs` |
//! | 2d | a handle and a file's name | where the file is in the cache | `hugging_face.rs`, `kaggle.rs`, `model_scope.rs`, each with its `_cache.rs`; `model_scope_listing.rs`, `file_names.rs`, `pins.rs`, `cached_files.rs` |

mod cached_files;
mod client;
mod cookie_jar;
mod digest;
mod file_names;
mod hugging_face;
mod hugging_face_cache;
mod kaggle;
mod kaggle_cache;
mod kaggle_options;
mod model_scope;
mod model_scope_cache;
mod model_scope_listing;
mod model_scope_options;
mod options;
mod partial;
mod pins;
mod progress;
mod retry;
mod transfer;
mod upload;
mod url;

use std::cmp::Reverse;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use cached_files::{CachedFiles, cached_files};
pub use options::{DownloadProgress, HubOptions};
pub use upload::{upload_preset, upload_preset_with};

use self::client::Client;
use self::file_names::check_file_name;
use self::hugging_face::HuggingFaceFolder;
use self::kaggle::KaggleFolder;
use self::model_scope::ModelScopeFolder;
use self::pins::{Pins, check_pins};
use crate::PresetError;
use crate::formats::format::CONFIG_FILE;
use crate::handle::HubHandle;
use crate::source::files::RemoteFolder;

/// The folder of a preset that is in each of these places.
///
/// If there are several, it is the first one that gives the config. The one with most bytes in its
/// cache is asked first, so that nothing large is downloaded again from another.
pub(crate) fn open(
    preset: &str,
    sources: &[HubHandle],
    options: &HubOptions,
) -> Result<Arc<dyn RemoteFolder>, PresetError> {
    check_pins(options)?;
    let client = Client::new(options);
    let mut folders = sources.iter().map(|source| folder(source, &client));
    if sources.len() == 1
        && let Some(folder) = folders.next()
    {
        // What it lacks shows later.
        return folder;
    }
    let mut folders: Vec<_> = folders.collect();
    let cached = |folder: &Arc<dyn RemoteFolder>| cached_files::total_size(&folder.cached_files());
    // Equals stay in their order.
    folders.sort_by_key(|folder| Reverse(folder.as_ref().map_or(0, cached)));
    let mut failures = Vec::new();
    for folder in folders {
        match folder.and_then(|folder| Ok((folder.fetch(CONFIG_FILE)?, folder))) {
            Ok((Some(_), folder)) => return Ok(folder),
            Ok((None, folder)) => failures.push(PresetError::MissingFile {
                preset: folder.display(""),
                file: CONFIG_FILE.to_owned(),
                remedy: "it is no preset",
            }),
            Err(failure) if is_of_hub(&failure) => failures.push(failure),
            Err(failure) => return Err(failure),
        }
    }
    Err(PresetError::NoSource { preset: preset.to_owned(), failures })
}

fn folder(source: &HubHandle, client: &Client) -> Result<Arc<dyn RemoteFolder>, PresetError> {
    let client = client.clone();
    Ok(match source {
        HubHandle::Kaggle(handle) => Arc::new(KaggleFolder::new(handle, client)?),
        HubHandle::HuggingFace(handle) => Arc::new(HuggingFaceFolder::new(handle, client)?),
        HubHandle::ModelScope(handle) => Arc::new(ModelScopeFolder::new(handle, client)?),
    })
}

/// Whether a failure is the hub's or the network's, so that another place may do better.
fn is_of_hub(failure: &PresetError) -> bool {
    use PresetError::*;
    matches!(
        failure,
        Offline { .. }
            | NoCacheFolder { .. }
            | HubUnauthorized { .. }
            | HubForbidden { .. }
            | GatedModel { .. }
            | KaggleForbidden { .. }
            | HubNotFound { .. }
            | ModelNotFound { .. }
            | RevisionNotFound { .. }
            | HubRateLimited { .. }
            | HubUnavailable { .. }
            | HubStatus { .. }
            | HubConnection { .. }
            | HubRedirect { .. }
            | UnexpectedHubAnswer { .. }
    )
}

/// What a cache knows of a file.
#[derive(Debug, PartialEq)]
enum Cached {
    /// It is here, whole.
    File(PathBuf),
    /// The hub does not have it.
    Absent,
    /// Nothing.
    Unknown,
}

/// The file that `locate` finds, once its name, its place and the user's pin are checked: no file of
/// a hub gets past this. `display` is what messages call it.
fn fetch(
    pins: &Pins,
    name: &str,
    display: &str,
    locate: impl FnOnce() -> Result<Option<PathBuf>, PresetError>,
    check_place: impl FnOnce(&Path) -> Result<(), PresetError>,
) -> Result<Option<PathBuf>, PresetError> {
    check_file_name(name)?;
    let path = locate()?;
    if let Some(path) = &path {
        check_place(path)?;
        pins.check(name, path, display)?;
    }
    Ok(path)
}
