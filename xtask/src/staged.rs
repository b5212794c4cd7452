//! What a command writes: under another name until it is whole.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

/// A file or a folder of the destination's name, in a folder beside it that is removed.
pub struct Staged<'a> {
    folder: PathBuf,
    path: PathBuf,
    destination: &'a Path,
    /// Whether something has the destination's name, and may be replaced.
    exists: bool,
}

impl<'a> Staged<'a> {
    /// Chooses the name; refuses a destination that exists, except with `force`.
    pub fn new(destination: &'a Path, force: bool) -> anyhow::Result<Self> {
        let exists = destination.symlink_metadata().is_ok();
        ensure!(
            !exists || force,
            "{} exists already; pass --force to replace it",
            destination.display()
        );
        let folder = beside(destination, "partial")?;
        let path = folder.join(destination.file_name().unwrap_or_default());
        Ok(Self { folder, path, destination, exists })
    }

    /// Where to write. Nothing is there yet.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Renames what was written; what had the name before is removed last.
    pub fn commit(self) -> anyhow::Result<()> {
        let old = beside(self.destination, "old")?;
        if self.exists {
            fs::rename(self.destination, &old)
                .with_context(|| format!("moving {} aside", self.destination.display()))?;
        }
        if let Err(error) = fs::rename(&self.path, self.destination) {
            if self.exists {
                fs::rename(&old, self.destination)
                    .with_context(|| format!("restoring it from {}", old.display()))?;
            }
            return Err(error).with_context(|| format!("naming {}", self.destination.display()));
        }
        if self.exists {
            remove(&old).with_context(|| format!("removing {}", old.display()))?;
        }
        Ok(())
    }
}

impl Drop for Staged<'_> {
    fn drop(&mut self) {
        // It may not have come to be.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Removes a folder with all that is in it, a file, or a link but not its target.
fn remove(path: &Path) -> std::io::Result<()> {
    if path.symlink_metadata()?.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}

/// A name that nobody else uses, in the destination's own folder, so that a rename suffices.
fn beside(destination: &Path, what: &str) -> anyhow::Result<PathBuf> {
    let name = destination.file_name().context("the destination must be a name, not `.` or `/`")?;
    let name = format!(".{}.{}-{what}", name.to_string_lossy(), std::process::id());
    Ok(destination.with_file_name(name))
}
