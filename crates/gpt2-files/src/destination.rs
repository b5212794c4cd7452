//! One file or folder of any content that gets its name when it is complete.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::error::{FileError, write_error};
use crate::staged::{Staged, without_end};
use crate::temporary::{is_temporary, parent, temporary_prefix, with_new_name};

/// Suffix of the name of a folder that is being written to.
const PARTIAL_SUFFIX: &str = ".partial";
/// Suffix of the name of a folder that keeps the old content until the new content has its name.
const OLD_SUFFIX: &str = ".old";

/// Path that the result of a program will have.
#[derive(Clone, Copy)]
pub struct Destination<'a> {
    path: &'a Path,
    /// Check of the content to be replaced. None if nothing may be replaced.
    check: Option<Check>,
}

/// Returns an error for content that must not be replaced.
type Check = fn(&Path) -> Result<(), FileError>;

/// File or folder under a temporary name, in a folder beside the destination.
///
/// Dropping it removes that folder.
pub struct StagedPath<'a> {
    destination: Destination<'a>,
    _folder: Staged,
    path: PathBuf,
    /// The folder, locked while it is in use. None on systems that cannot lock a folder.
    _lock: Option<File>,
}

impl<'a> Destination<'a> {
    /// Destination that must not exist yet.
    ///
    /// # Errors
    ///
    /// [`FileError::NoName`], [`FileError::Exists`]. Nothing is created.
    pub fn new(path: &'a Path) -> Result<Self, FileError> {
        Self { path, check: None }.checked()
    }

    /// Destination that may exist if `check` succeeds for it. `check` is called only if it exists.
    ///
    /// # Errors
    ///
    /// [`FileError::NoName`], and those of `check`: [`FileError::Precious`]. Nothing is created.
    pub fn replacing(
        path: &'a Path,
        check: fn(&Path) -> Result<(), FileError>,
    ) -> Result<Self, FileError> {
        Self { path, check: Some(check) }.checked()
    }

    fn checked(self) -> Result<Self, FileError> {
        if self.path.file_name().is_none() {
            return Err(FileError::NoName { path: self.path.into() });
        }
        self.check()?;
        Ok(self)
    }

    /// Refuses destinations that must not be replaced.
    fn check(self) -> Result<(), FileError> {
        if self.path.symlink_metadata().is_err() {
            return Ok(());
        }
        self.check.map_or_else(
            || Err(FileError::Exists { path: self.path.into() }),
            |check| check(self.path),
        )
    }

    /// Creates a folder beside the destination, with a path in it to write to.
    ///
    /// Folders that killed processes left are removed first.
    ///
    /// # Errors
    ///
    /// [`FileError::Write`].
    pub fn stage(self) -> Result<StagedPath<'a>, FileError> {
        let parent = parent(self.path);
        fs::create_dir_all(parent).map_err(write_error(parent))?;
        self.remove_abandoned();
        loop {
            let create = || Ok((self.create_beside(PARTIAL_SUFFIX)?, ()));
            let (folder, ()) = Staged::create(create)?;
            // Until the folder is locked, another process may take it for an abandoned one. `lock`
            // waits until that process has removed it.
            let lock = File::open(folder.path()).ok().filter(|folder| folder.lock().is_ok());
            if folder.path().is_dir() {
                let path = folder.path().join(self.path.file_name().unwrap_or_default());
                return Ok(StagedPath { destination: self, _folder: folder, path, _lock: lock });
            }
        }
    }

    /// Removes the folders of this destination that no process has locked.
    fn remove_abandoned(self) {
        let Ok(entries) = fs::read_dir(parent(self.path)) else { return };
        let prefix = temporary_prefix(self.path);
        for entry in entries.flatten() {
            let is_ours = |name| is_temporary(name, &prefix, PARTIAL_SUFFIX);
            if !entry.file_name().to_str().is_some_and(is_ours)
                || !entry.file_type().is_ok_and(|kind| kind.is_dir())
            {
                continue;
            }
            // Failing to remove a folder is harmless: it only takes space.
            if let Ok(folder) = File::open(entry.path())
                && folder.try_lock().is_ok()
            {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }

    /// Creates a folder with a new name beside the destination, where a rename needs no copy.
    fn create_beside(self, suffix: &str) -> Result<PathBuf, FileError> {
        let made = with_new_name(self.path, suffix, |folder| fs::create_dir(folder));
        made.map(|(folder, ())| folder).map_err(write_error(self.path))
    }
}

impl StagedPath<'_> {
    /// Path to write to. Nothing exists there yet.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the written file or folder its name.
    ///
    /// A file replaces a file in one step. Otherwise the old content is moved aside first and
    /// removed last.
    ///
    /// # Errors
    ///
    /// [`FileError::Exists`] and [`FileError::Precious`] for content that appeared after
    /// [`stage`](Destination::stage), [`FileError::Write`], and [`FileError::MovedAside`] if the
    /// old content could not be put back after a failure.
    pub fn commit(self) -> Result<(), FileError> {
        without_end(|| self.put())
    }

    fn put(&self) -> Result<(), FileError> {
        self.destination.check()?;
        let path = self.destination.path;
        let put = || fs::rename(&self.path, path).map_err(write_error(path));
        let is_folder = |path: &Path| path.symlink_metadata().is_ok_and(|found| found.is_dir());
        let exists = path.symlink_metadata().is_ok();
        if !exists || !is_folder(path) && !is_folder(&self.path) {
            return put();
        }
        let folder = self.destination.create_beside(OLD_SUFFIX)?;
        let old = folder.join(path.file_name().unwrap_or_default());
        let moved = fs::rename(path, &old).map_err(write_error(path)).and_then(|()| {
            put().map_err(|failure| match fs::rename(&old, path) {
                Ok(()) => failure,
                Err(source) => {
                    FileError::MovedAside { failure: failure.into(), aside: old.clone(), source }
                }
            })
        });
        if let Err(error) = moved {
            // Fails, as it should, if the folder still holds the old content.
            let _ = fs::remove_dir(&folder);
            return Err(error);
        }
        fs::remove_dir_all(&folder).map_err(write_error(&folder))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replacing(path: &Path) -> Result<Destination<'_>, FileError> {
        Destination::replacing(path, |folder| match folder.join("mark").exists() {
            true => Ok(()),
            false => Err(FileError::Precious { path: folder.into(), why: "no mark".to_owned() }),
        })
    }

    fn is_empty(folder: &Path) -> bool {
        fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
    }

    #[test]
    fn a_stale_folder_of_the_same_process_id_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new");
        let destination = Destination::new(&path).unwrap();
        let one = destination.stage().unwrap();
        fs::create_dir(one.path()).unwrap();
        let other = destination.stage().unwrap();
        assert_ne!(one.path(), other.path());
        assert!(!other.path().exists());
        assert!(one.path().exists(), "it is in use");
        drop((one, other));
        assert!(is_empty(folder.path()));
    }

    #[test]
    fn the_old_folder_is_back_if_the_new_one_cannot_be_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("preset");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("mark"), "").unwrap();
        // Nothing is written, so the rename fails.
        let staged = replacing(&path).unwrap().stage().unwrap();
        assert!(
            matches!(staged.commit().unwrap_err(), FileError::Write { path: at, .. } if at == path)
        );
        assert!(path.is_dir());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn content_that_came_to_be_meanwhile_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let staged = Destination::new(&path).unwrap().stage().unwrap();
        fs::write(staged.path(), "new").unwrap();
        fs::write(&path, "mine").unwrap();
        assert!(matches!(staged.commit().unwrap_err(), FileError::Exists { .. }));
        assert_eq!(fs::read(&path).unwrap(), b"mine");
    }

    #[test]
    fn only_content_that_passes_the_check_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("preset");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("letter"), "mine").unwrap();
        assert!(matches!(replacing(&path).map(|_| ()), Err(FileError::Precious { .. })));
        fs::write(path.join("mark"), "").unwrap();
        let staged = replacing(&path).unwrap().stage().unwrap();
        fs::create_dir(staged.path()).unwrap();
        staged.commit().unwrap();
        assert!(is_empty(&path));
        assert!(matches!(Destination::new(&path).map(|_| ()), Err(FileError::Exists { .. })));
        assert!(matches!(
            Destination::new(Path::new("/")).map(|_| ()),
            Err(FileError::NoName { .. })
        ));
    }
}
