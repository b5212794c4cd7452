//! Cache of kagglehub, which this library shares.
//!
//! `<root>/models/<owner>/<model>/<framework>/<variation>/` holds the files in `<version>/`. Empty
//! marker files say what is complete: `.complete/<version>/<path>.complete` for one file,
//! `<version>.complete` for all files (`kagglehub/cache.py`). This library adds a marker beside the
//! former, `<path>.absent`, for a file that the version does not have; versions never change.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use gpt2_files::write_error;

use crate::cache_folder::{files_below, folders_in};
use crate::error::HubError;
use crate::handle::{HubHandle, KaggleHandle};
use crate::lookup::Cached;
use crate::options::HubOptions;

const MARKERS: &str = ".complete";

/// Cache folder of a model's variation.
#[derive(Debug)]
pub(crate) struct KaggleCache {
    pub(crate) root: PathBuf,
    folder: PathBuf,
}

impl KaggleCache {
    pub(crate) fn of(options: &HubOptions, handle: &KaggleHandle) -> Result<Self, HubError> {
        let KaggleHandle { owner, model, framework, variation, .. } = handle;
        let Some(root) = &options.kaggle.cache else {
            let model = HubHandle::Kaggle(handle.clone()).to_string();
            let variables = "HOME (USERPROFILE on Windows) or KAGGLEHUB_CACHE";
            return Err(HubError::NoCacheFolder { model, variables });
        };
        let names = ["models", owner, model, framework, variation];
        let folder = names.iter().fold(root.clone(), |path, name| path.join(name));
        Ok(Self { root: root.clone(), folder })
    }

    /// Folder of a version's files.
    pub(crate) fn version_folder(&self, version: u64) -> PathBuf {
        self.folder.join(version.to_string())
    }

    pub(crate) fn find(&self, version: u64, name: &str) -> Cached {
        let path = self.version_folder(version).join(name);
        let whole = self.folder.join(format!("{version}.complete")).exists()
            && self.version_folder(version).is_dir();
        if path.exists() && (whole || self.marker(version, name, "complete").exists()) {
            Cached::File(path)
        } else if whole || self.marker(version, name, "absent").exists() {
            Cached::Absent
        } else {
            Cached::Unknown
        }
    }

    /// Marks a file as complete.
    pub(crate) fn mark_complete(&self, version: u64, name: &str) -> Result<(), HubError> {
        touch(&self.marker(version, name, "complete"))
    }

    /// Marks a file as absent from the version.
    pub(crate) fn mark_absent(&self, version: u64, name: &str) -> Result<(), HubError> {
        touch(&self.marker(version, name, "absent"))
    }

    /// Newest version with a complete file.
    pub(crate) fn newest_version(&self) -> Option<u64> {
        let entries = fs::read_dir(&self.folder).ok()?;
        let versions =
            entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        versions.filter(|version| !self.files(*version).is_empty()).max()
    }

    /// Complete files of a version.
    pub(crate) fn files(&self, version: u64) -> Vec<PathBuf> {
        let folder = self.version_folder(version);
        let mut files = files_below(&folder);
        files.retain(|path| {
            let name = path.strip_prefix(&folder).ok().and_then(Path::to_str);
            name.is_some_and(|name| matches!(self.find(version, name), Cached::File(_)))
        });
        files
    }

    /// Path of the lock file for a download.
    pub(crate) fn lock(&self, version: u64, name: &str) -> PathBuf {
        self.marker(version, name, "lock")
    }

    fn marker(&self, version: u64, name: &str, ending: &str) -> PathBuf {
        self.folder.join(MARKERS).join(version.to_string()).join(format!("{name}.{ending}"))
    }
}

/// Handles of the models in a cache: of each version.
pub(crate) fn cached_handles(root: &Path) -> Vec<String> {
    let mut names = vec![String::new()];
    // Owner, model, framework, variation, version.
    for _ in 0..5 {
        let within = |name: &String| {
            let inner = folders_in(&root.join("models").join(name)).into_iter();
            inner.map(|inner| format!("{name}{inner}/")).collect::<Vec<_>>()
        };
        names = names.iter().flat_map(within).collect();
    }
    names.iter().map(|name| format!("kaggle://{}", name.trim_end_matches('/'))).collect()
}

fn touch(path: &Path) -> Result<(), HubError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(write_error(folder))?;
    }
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.map_err(write_error(path))?;
    Ok(())
}
