//! Staged files and folders of this process, which it can remove before it ends early.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Paths of the staged files and folders.
static STAGED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Number of attempts to remove a folder in which another thread may still create files.
const ATTEMPTS: usize = 10;

/// A staged file or folder. Dropping it removes it, unless it has got its name.
pub(crate) struct Staged(PathBuf);

impl Staged {
    /// Stages what `create` creates. It returns the path.
    pub(crate) fn create<T, E>(
        create: impl FnOnce() -> Result<(PathBuf, T), E>,
    ) -> Result<(Self, T), E> {
        let mut staged = lock();
        let (path, created) = create()?;
        staged.insert(path.clone());
        Ok((Self(path), created))
    }

    /// Temporary path.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        let mut staged = lock();
        remove(&self.0);
        staged.remove(&self.0);
    }
}

/// Removes the staged files and folders of this process, and calls `end`, which ends it. Meanwhile
/// other threads can neither stage a file nor give it its name: each save is complete or undone.
///
/// ```
/// use gpt2_files::{Staging, end_early};
///
/// let folder = tempfile::tempdir()?;
/// let mut files = Staging::new(folder.path())?;
/// files.text("vocabulary.json", "{}")?;
/// end_early(|| assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn end_early(end: impl FnOnce()) {
    let staged = lock();
    staged.iter().for_each(|path| remove(path));
    end();
}

/// Does work that [`end_early`] waits for.
pub(crate) fn without_end<T>(work: impl FnOnce() -> T) -> T {
    let _staged = lock();
    work()
}

fn lock() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    STAGED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes a file or folder. A failure is harmless: the next process that writes to the same place
/// removes it.
fn remove(path: &Path) {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => {
            let _ = (0..ATTEMPTS).find(|_| fs::remove_dir_all(path).is_ok());
        }
        Ok(_) => drop(fs::remove_file(path)),
        // It has got its name.
        Err(_) => {}
    }
}
