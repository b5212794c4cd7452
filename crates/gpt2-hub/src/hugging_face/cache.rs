//! Cache that Hugging Face's libraries share.
//!
//! `models--OWNER--MODEL/` holds `blobs/ETAG`, `snapshots/COMMIT/FILE` (links to blobs),
//! `refs/REVISION` (a text file with the commit) and `.no_exist/COMMIT/FILE` (empty). `.locks/`
//! beside it holds the locks (`huggingface_hub/file_download.py`, version 2.4).

use std::fs;
use std::io;
use std::iter;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use gpt2_files::{Staging, write_error};
use hf_hub::{Cache, CacheRepo, Repo};

use crate::cache_folder::{files_below, folders_in};
use crate::error::HubError;
use crate::file_names::check_place;
use crate::lookup::Cached;
use crate::transfer::digest::is_hex;

/// Model in the cache.
#[derive(Debug)]
pub(crate) struct HuggingFaceCache {
    repo: CacheRepo,
    root: PathBuf,
    /// Folder of the model.
    folder: PathBuf,
    /// Folder of the model's locks.
    locks: PathBuf,
    revision: String,
}

impl HuggingFaceCache {
    pub(crate) fn new(root: &Path, repo: &Repo) -> Self {
        let name = repo.folder_name();
        Self {
            root: root.to_owned(),
            folder: root.join(&name),
            locks: root.join(".locks").join(name),
            revision: repo.revision().to_owned(),
            repo: Cache::new(root.into()).repo(repo.clone()),
        }
    }

    /// Commit of the revision at the last request.
    pub(crate) fn commit(&self) -> Option<String> {
        if is_commit(&self.revision) {
            return Some(self.revision.clone());
        }
        let commit = fs::read_to_string(self.folder.join("refs").join(&self.revision)).ok()?;
        let commit = commit.trim();
        is_commit(commit).then(|| commit.to_owned())
    }

    pub(crate) fn find(&self, commit: &str, name: &str) -> Cached {
        let path = self.repo.pointer_path(commit).join(name);
        if path.exists() {
            Cached::File(path)
        } else if self.no_exist(commit, name).is_file() {
            Cached::Absent
        } else {
            Cached::Unknown
        }
    }

    /// Cached files of that commit.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let commit = self.commit();
        commit.map_or(Vec::new(), |commit| files_below(&self.repo.pointer_path(&commit)))
    }

    /// Checks that a file is in the cache. It may be outside the model's folder: Python's client
    /// keeps files that models share beside their folders.
    pub(crate) fn check_place(&self, path: &Path, name: &str) -> Result<(), HubError> {
        check_place(path, name, &[&self.root, &self.folder])
    }

    pub(crate) fn blob(&self, etag: &str) -> PathBuf {
        self.folder.join("blobs").join(etag)
    }

    /// Path of the lock file, which Python's client also uses.
    pub(crate) fn lock(&self, etag: &str) -> PathBuf {
        self.locks.join(format!("{etag}.lock"))
    }

    /// Links a file name to a blob. The link is relative, so that the cache can be moved.
    pub(crate) fn link(&self, etag: &str, commit: &str, name: &str) -> Result<PathBuf, HubError> {
        static LINKS: AtomicU64 = AtomicU64::new(0);
        let path = self.repo.pointer_path(commit).join(name);
        let folder = path.parent().unwrap_or(&self.folder);
        fs::create_dir_all(folder).map_err(write_error(folder))?;
        // Joined from parts: Windows does not follow a link that contains `/`.
        let up = iter::repeat_n("..", 2 + name.matches('/').count());
        let target: PathBuf = up.chain(["blobs", etag]).collect();
        let number = LINKS.fetch_add(1, Ordering::Relaxed);
        let temporary = folder.join(format!(".{}-{number}.link", std::process::id()));
        // An earlier process with the same id may have left a file there.
        let _ = fs::remove_file(&temporary);
        let blob = self.blob(etag);
        let linked = symlink(&target, &temporary)
            .and_then(|()| fs::metadata(&temporary).map(drop))
            .or_else(|_| {
                // The link may be broken.
                let _ = fs::remove_file(&temporary);
                fs::hard_link(&blob, &temporary)
            })
            .or_else(|_| fs::copy(&blob, &temporary).map(drop))
            .and_then(|()| fs::rename(&temporary, &path));
        // Renaming a link over another link to the same file keeps both.
        let _ = fs::remove_file(&temporary);
        linked.map_err(write_error(&path))?;
        Ok(path)
    }

    /// Records that the hub does not have a file. Failures are ignored: a cache may be read-only.
    pub(crate) fn remember_absent(&self, commit: &str, name: &str) {
        let path = self.no_exist(commit, name);
        if let Some(folder) = path.parent() {
            let _ = fs::create_dir_all(folder).and_then(|()| fs::write(&path, ""));
        }
    }

    /// Records the commit of the revision. Failures are ignored: a cache may be read-only.
    pub(crate) fn remember_commit(&self, commit: &str) {
        if self.commit().as_deref() != Some(commit) {
            let _ = Staging::new(&self.folder.join("refs")).and_then(|mut staging| {
                staging.text(&self.revision, commit)?;
                staging.commit()
            });
        }
    }

    fn no_exist(&self, commit: &str, name: &str) -> PathBuf {
        self.folder.join(".no_exist").join(commit).join(name)
    }
}

/// Handles of the models in a cache: of each branch or tag, and of each commit that none of them is
/// at.
pub(crate) fn cached_handles(root: &Path) -> Vec<String> {
    let mut handles = Vec::new();
    for folder in folders_in(root) {
        let Some(id) = folder.strip_prefix("models--") else { continue };
        let (id, folder) = (id.replacen("--", "/", 1), root.join(&folder));
        let mut commits = folders_in(&folder.join("snapshots"));
        let refs = folder.join("refs");
        for path in files_below(&refs) {
            let revision = path.strip_prefix(&refs).ok().and_then(Path::to_str);
            let revision = revision.map(|revision| revision.replace('\\', "/"));
            match revision.as_deref() {
                Some("main") => handles.push(format!("hf://{id}")),
                Some(revision) => handles.push(format!("hf://{id}@{revision}")),
                None => continue,
            }
            let commit = fs::read_to_string(path).unwrap_or_default();
            commits.retain(|other| other != commit.trim());
        }
        handles.extend(commits.iter().map(|commit| format!("hf://{id}@{commit}")));
    }
    handles
}

/// Whether a revision is a commit, whose content never changes.
pub(crate) fn is_commit(revision: &str) -> bool {
    is_hex(revision, 40)
}

#[cfg(unix)]
fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

#[cfg(windows)]
fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_file(target, link)
}
