//! `CorpusFile`: a text file and its state when the corpus was opened.

use std::path::{self, PathBuf};
use std::time::SystemTime;

use gpt2_files::{FileError, regular_file};
use gpt2_task::Fingerprint;

use crate::error::DataError;
use crate::paths::has_extension;

/// Text file with its size and modification time when the corpus was opened.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CorpusFile {
    pub(crate) path: PathBuf,
    pub(crate) size: u64,
    modified: Option<SystemTime>,
}

impl CorpusFile {
    /// Records the state of a regular file.
    pub(crate) fn new(path: PathBuf) -> Result<Self, FileError> {
        let metadata = regular_file(&path)?;
        Ok(Self { path, size: metadata.len(), modified: metadata.modified().ok() })
    }

    /// Whether each line is a JSON object.
    pub(crate) fn has_json_lines(&self) -> bool {
        has_extension(&self.path, "jsonl") || has_extension(&self.path, "ndjson")
    }

    /// Adds the path to a fingerprint.
    pub(crate) fn add_path_to(&self, fingerprint: Fingerprint) -> Fingerprint {
        // Two spellings of a path must give the same fingerprint.
        let path = path::absolute(&self.path).unwrap_or_else(|_| self.path.clone());
        fingerprint.with(path.as_os_str().as_encoded_bytes())
    }

    /// Adds the size and modification time to a fingerprint.
    pub(crate) fn add_state_to(&self, fingerprint: Fingerprint) -> Fingerprint {
        let since = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).ok();
        let modified = self.modified.and_then(since).unwrap_or_default();
        fingerprint.with_number(self.size).with(&modified.as_nanos().to_le_bytes())
    }

    /// Fails if the file has changed.
    pub(crate) fn check_unchanged(&self) -> Result<(), DataError> {
        if Self::new(self.path.clone())? != *self {
            return Err(DataError::CorpusChanged { path: self.path.clone() });
        }
        Ok(())
    }
}
