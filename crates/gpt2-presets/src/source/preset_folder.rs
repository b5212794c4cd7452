//! Trait of a preset's files.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use gpt2_files::{read_bounded, read_error, utf8};

use crate::error::PresetError;
use crate::source::blob::Blob;

/// Size in bytes above which a text file is an error. GPT-2's vocabulary has one megabyte.
pub(crate) const MAX_TEXT_SIZE: u64 = 64 * 1024 * 1024;

/// Files of one preset, by their names in its folder.
pub(crate) trait PresetFolder: fmt::Debug + Send + Sync {
    /// Name of a file in messages.
    fn display(&self, name: &str) -> String;

    /// Makes a file available, by a download if necessary. False if the preset has no such file.
    fn fetch(&self, name: &str) -> Result<bool, PresetError>;

    /// Path of a regular file on the disk. None for a file in memory.
    fn path(&self, name: &str) -> Result<Option<PathBuf>, PresetError>;

    /// Content of a file in memory.
    fn memory(&self, _name: &str) -> Option<bytes::Bytes> {
        None
    }

    /// Name of the file if the preset is a single file.
    fn only_file(&self) -> Option<&'static str> {
        None
    }

    /// Folder on the disk, if it contains all files and can be listed.
    fn directory(&self) -> Option<&Path> {
        None
    }

    /// Checks that a file with a plain name is inside the folder. The error is the reason.
    fn check_inside(&self, _name: &str) -> Result<(), &'static str> {
        Ok(())
    }

    /// Whether an error means that no hub could be reached, so that the file may or may not exist.
    fn is_unknown(&self, _error: &PresetError) -> bool {
        false
    }

    /// Whether a file with weights was downloaded before.
    fn has_cached_weights(&self) -> bool {
        false
    }

    /// Opens a file to read parts of it.
    fn open(&self, name: &str) -> Result<Blob, PresetError> {
        if let Some(path) = self.path(name)? {
            return Ok(Blob::open(&path)?);
        }
        self.memory(name).map(Blob::Memory).ok_or_else(|| self.absent(name))
    }

    /// Reads a whole text file of at most [`MAX_TEXT_SIZE`].
    fn read_text(&self, name: &str) -> Result<String, PresetError> {
        let path = PathBuf::from(self.display(name));
        let bytes = match self.open(name)? {
            Blob::Memory(bytes) => bytes.to_vec(),
            Blob::File(file) => read_bounded(file, &path, MAX_TEXT_SIZE)?,
        };
        Ok(utf8(bytes, &path)?)
    }

    /// Whether the preset has any of these files. Fetches the first that exists, as
    /// [`fetch_first_of`](Self::fetch_first_of) does.
    fn fetch_any(&self, names: &[&str]) -> Result<bool, PresetError> {
        let choices: Vec<_> = names.iter().map(std::slice::from_ref).collect();
        Ok(self.fetch_first_of(&choices)?.is_some())
    }

    /// Fetches the files of the first choice that the preset has completely, and returns its index.
    ///
    /// If the hub cannot be reached, a choice in the cache takes precedence over one that may be on
    /// the hub. If no choice is in the cache, the error is that of the first choice.
    fn fetch_first_of(&self, choices: &[&[&str]]) -> Result<Option<usize>, PresetError> {
        let mut unknown = None;
        for (index, names) in choices.iter().enumerate() {
            match self.fetch_all(names) {
                Ok(true) => return Ok(Some(index)),
                Ok(false) => {}
                Err(error) if self.is_unknown(&error) => unknown = unknown.or(Some(error)),
                Err(error) => return Err(error),
            }
        }
        unknown.map_or(Ok(None), Err)
    }

    /// Fetches files until the preset lacks one. True if it has all.
    fn fetch_all(&self, names: &[&str]) -> Result<bool, PresetError> {
        for name in names {
            if !self.fetch(name)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Fetches an optional file.
    ///
    /// If the hub cannot be reached, the file counts as absent when the cache has the weights. The
    /// hubs' own clients do the same: their `snapshot_download` does not record absent files.
    fn fetch_optional(&self, name: &str) -> Result<bool, PresetError> {
        match self.fetch(name) {
            Err(error) if self.is_unknown(&error) && self.has_cached_weights() => Ok(false),
            result => result,
        }
    }

    /// Error for a missing file.
    fn absent(&self, name: &str) -> PresetError {
        read_error(Path::new(&self.display(name)))(io::ErrorKind::NotFound.into()).into()
    }
}
