//! Preset in a folder on the disk.

use std::fs;
use std::io::ErrorKind::{NotADirectory, NotFound};
use std::path::{Path, PathBuf};

use gpt2_files::{read_error, regular_file};
use gpt2_hub::blobs_of_snapshot;

use crate::error::PresetError;
use crate::source::preset_folder::PresetFolder;

/// A folder on the disk.
#[derive(Debug)]
pub(crate) struct LocalFolder {
    folder: PathBuf,
}

impl LocalFolder {
    /// Folder at a path.
    pub(crate) fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// Folder of a file, and the file's name.
    pub(crate) fn of_file(path: &Path) -> (Self, String) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        (Self::new(path.parent().unwrap_or(Path::new(""))), name)
    }
}

impl PresetFolder for LocalFolder {
    fn display(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    fn fetch(&self, name: &str) -> Result<bool, PresetError> {
        let path = self.folder.join(name);
        match fs::metadata(&path) {
            Ok(_) => Ok(true),
            // A folder of the name may be a file of the user.
            Err(error) if matches!(error.kind(), NotFound | NotADirectory) => Ok(false),
            Err(error) => Err(read_error(&path)(error).into()),
        }
    }

    fn path(&self, name: &str) -> Result<Option<PathBuf>, PresetError> {
        let path = self.folder.join(name);
        regular_file(&path)?;
        Ok(Some(path))
    }

    fn directory(&self) -> Option<&Path> {
        Some(&self.folder)
    }

    /// Returns an error for a link that leaves the folder. Links from `snapshots/<revision>/` to
    /// the `blobs/` next to it are allowed, because Hugging Face's cache has them.
    fn check_inside(&self, name: &str) -> Result<(), &'static str> {
        let (Ok(folder), Ok(target)) =
            (self.folder.canonicalize(), self.folder.join(name).canonicalize())
        else {
            // A missing file is reported when it is opened.
            return Ok(());
        };
        let parent = target.parent();
        if parent == Some(&folder) || parent == blobs_of_snapshot(&folder).as_deref() {
            Ok(())
        } else {
            Err("it is a link out of the folder")
        }
    }
}
