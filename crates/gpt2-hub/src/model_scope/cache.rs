//! Cache of ModelScope's client, which shares its files with this library.
//!
//! `<root>/models/<owner>--<model>/snapshots/<revision>/` holds the files; whatever is there is
//! whole (`modelscope_hub/_download.py`). A folder of an older client, if there is one, is used
//! instead. What the hub has said last of what there is, in `<root>/.listings/`, is our own: within
//! the model's folder it would hide an older one from the client.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use gpt2_files::Staging;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::cache_folder::files_below;
use crate::error::HubError;
use crate::handle::{HubHandle, ModelHandle};
use crate::model_scope::listing::Listing;
use crate::options::HubOptions;
use crate::transfer::digest::hex;

/// The folder of a model's revision in the cache.
#[derive(Debug)]
pub(crate) struct ModelScopeCache {
    pub(crate) root: PathBuf,
    pub(crate) revision: String,
    /// Where the files are.
    pub(crate) folder: PathBuf,
    /// Where the list of the hub's files is.
    listing: PathBuf,
}

impl ModelScopeCache {
    pub(crate) fn of(options: &HubOptions, handle: &ModelHandle) -> Result<Self, HubError> {
        let Some(root) = options.model_scope.cache.clone() else {
            let model_name = HubHandle::ModelScope(handle.clone()).to_string();
            let variables = "HOME (USERPROFILE on Windows) or MODELSCOPE_CACHE";
            return Err(HubError::NoCacheFolder { model: model_name, variables });
        };
        let revision = handle.revision.clone().unwrap_or("master".to_owned());
        let model = root.join("models").join(handle.id.replace('/', "--"));
        let folder = older_folder(&root, &handle.id, &model)
            .unwrap_or_else(|| model.join("snapshots").join(&revision));
        let listing = root.join(".listings").join(listing_name(&handle.id, &revision));
        Ok(Self { root, revision, folder, listing })
    }

    /// The path of a file, if it is here.
    pub(crate) fn find(&self, name: &str) -> Option<PathBuf> {
        Some(self.folder.join(name)).filter(|path| path.exists())
    }

    /// Without links, which the client does not make, and what it leaves of a broken download.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let mut files = files_below(&self.folder);
        files.retain(|path| {
            let is_left = path.extension().is_some_and(|it| it == "parallel_tmp" || it == "tmp");
            !is_left && !path.is_symlink()
        });
        files
    }

    /// What the hub had when it was last asked; none if that is not known.
    pub(crate) fn listing(&self) -> Option<Listing> {
        let file = File::open(&self.listing).ok()?;
        Listing::parse(&serde_json::from_reader(std::io::BufReader::new(file)).ok()?)
    }

    /// Remembers what the hub has. A cache that cannot be written to forgets.
    pub(crate) fn remember(&self, listing: &Value) {
        if let (Some(folder), Some(name)) = (self.listing.parent(), self.listing.file_name()) {
            let _ = Staging::new(folder).and_then(|mut staging| {
                staging.json(&name.to_string_lossy(), listing)?;
                staging.commit()
            });
        }
    }

    /// The file that the client locks too (`_lock_path` there).
    pub(crate) fn lock(&self, id: &str, name: &str) -> PathBuf {
        let key = digest(&["modelscope-hub-download-lock-v2", "file", "model", id, name]);
        self.root.join(".lock").join(format!("file_{key}.lock"))
    }
}

/// Short, whatever the revision.
fn listing_name(id: &str, revision: &str) -> String {
    format!("{}.json", digest(&[id, revision]))
}

fn digest(parts: &[&str]) -> String {
    hex(&Sha256::digest(parts.join("\0")))
}

/// The folder that an older client has filled (`_find_legacy_repo_dir` there, and
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
