//! Cache of ModelScope's client, which this library shares.
//!
//! `<root>/models/<owner>--<model>/snapshots/<revision>/` holds the files, all of them complete
//! (`modelscope_hub/_download.py`). A folder of an older client takes precedence. The hub's last
//! list of files is this library's own and lives in `<root>/.listings/`: within the model's folder
//! it would hide an older folder from the client.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use gpt2_files::Staging;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::cache_folder::{files_below, folders_in};
use crate::error::HubError;
use crate::handle::{HubHandle, ModelHandle};
use crate::model_scope::listing::Listing;
use crate::options::HubOptions;
use crate::transfer::digest::hex;

/// Revision without a name.
const MAIN: &str = "master";

/// Folder of a model's revision in the cache.
#[derive(Debug)]
pub(crate) struct ModelScopeCache {
    pub(crate) root: PathBuf,
    pub(crate) revision: String,
    /// Folder of the files.
    pub(crate) folder: PathBuf,
    /// Path of the hub's list of files.
    listing: PathBuf,
}

impl ModelScopeCache {
    pub(crate) fn of(options: &HubOptions, handle: &ModelHandle) -> Result<Self, HubError> {
        let Some(root) = options.model_scope.cache.clone() else {
            let model_name = HubHandle::ModelScope(handle.clone()).to_string();
            let variables = "HOME (USERPROFILE on Windows) or MODELSCOPE_CACHE";
            return Err(HubError::NoCacheFolder { model: model_name, variables });
        };
        let revision = handle.revision.clone().unwrap_or(MAIN.to_owned());
        let model = root.join("models").join(handle.id.replace('/', "--"));
        let folder = older_folder(&root, &handle.id, &model)
            .unwrap_or_else(|| model.join("snapshots").join(&revision));
        let listing = root.join(".listings").join(listing_name(&handle.id, &revision));
        Ok(Self { root, revision, folder, listing })
    }

    /// Path of a file. None if the cache does not have it.
    pub(crate) fn find(&self, name: &str) -> Option<PathBuf> {
        Some(self.folder.join(name)).filter(|path| path.exists())
    }

    /// Cached files, except links, which the client does not make, and its interrupted downloads.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let mut files = files_below(&self.folder);
        files.retain(|path| {
            let is_left = path.extension().is_some_and(|it| it == "parallel_tmp" || it == "tmp");
            !is_left && !path.is_symlink()
        });
        files
    }

    /// The hub's last list of files. None if the cache does not have it.
    pub(crate) fn listing(&self) -> Option<Listing> {
        let file = File::open(&self.listing).ok()?;
        Listing::parse(&serde_json::from_reader(std::io::BufReader::new(file)).ok()?)
    }

    /// Records the hub's list of files. Failures are ignored: a cache may be read-only.
    pub(crate) fn remember(&self, listing: &Value) {
        if let (Some(folder), Some(name)) = (self.listing.parent(), self.listing.file_name()) {
            let _ = Staging::new(folder).and_then(|mut staging| {
                staging.json(&name.to_string_lossy(), listing)?;
                staging.commit()
            });
        }
    }

    /// Path of the lock file, which the client also uses (its `_lock_path`).
    pub(crate) fn lock(&self, id: &str, name: &str) -> PathBuf {
        let key = digest(&["modelscope-hub-download-lock-v2", "file", "model", id, name]);
        self.root.join(".lock").join(format!("file_{key}.lock"))
    }
}

/// Handles of the models in a cache: of each revision, and of the folders of older clients that name
/// their owner.
pub(crate) fn cached_handles(root: &Path) -> Vec<String> {
    let mut handles = Vec::new();
    let models = root.join("models");
    for name in folders_in(&models) {
        let Some((owner, model)) = name.split_once("--") else { continue };
        for revision in folders_in(&models.join(&name).join("snapshots")) {
            let revision = if revision == MAIN { String::new() } else { format!("@{revision}") };
            handles.push(format!("modelscope://{owner}/{model}{revision}"));
        }
    }
    for models in [models, root.join("hub").join("models")] {
        for owner in folders_in(&models).into_iter().filter(|owner| !owner.contains("--")) {
            for model in folders_in(&models.join(&owner)) {
                handles.push(format!("modelscope://{owner}/{}", model.replace("___", ".")));
            }
        }
    }
    handles
}

/// File name of a list, of bounded length for any revision.
fn listing_name(id: &str, revision: &str) -> String {
    format!("{}.json", digest(&[id, revision]))
}

fn digest(parts: &[&str]) -> String {
    hex(&Sha256::digest(parts.join("\0")))
}

/// Folder that an older client has filled (its `_find_legacy_repo_dir`, and
/// `find_reusable_legacy_repo_dir` in `modelscope/hub/utils/utils.py`).
fn older_folder(root: &Path, id: &str, model: &Path) -> Option<PathBuf> {
    let (owner, name) = id.split_once('/')?;
    let safe_name = name.replace('.', "___");
    let known = [&["models", owner, &safe_name][..], &["hub", "models", owner, &safe_name]];
    let flat = [
        &[owner, name][..],
        &[owner, &safe_name],
        &["hub", owner, name],
        &["hub", owner, &safe_name],
        &["models", owner, name],
    ];
    let path = |names: &&[&str]| names.iter().fold(root.to_owned(), |path, name| path.join(name));
    let known = known.iter().map(path).find(|path| is_filled(path));
    known.or_else(|| {
        if is_filled(model) { None } else { flat.iter().map(path).find(|path| is_filled(path)) }
    })
}

fn is_filled(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some())
}
