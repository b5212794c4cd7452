//! Folder of a model on a hub, for its readers.

use std::fmt;
use std::path::PathBuf;

use crate::error::HubError;

/// Folder of a model on a hub. Each file is downloaded on its first use.
pub trait RemoteFolder: fmt::Debug + Send + Sync {
    /// Name of a file in messages: `hf://owner/model/config.json`.
    fn display(&self, name: &str) -> String;

    /// Downloads a file, unless the cache has it, and returns its path on the disk. None if the hub
    /// does not have the file.
    ///
    /// The file is complete and verified. `name` may contain folders, separated by `/`.
    ///
    /// # Errors
    ///
    /// Failures of the hub, the network or the disk, content that differs from the promised digest,
    /// and a name that could lead out of the folder.
    fn fetch(&self, name: &str) -> Result<Option<PathBuf>, HubError>;

    /// Complete files in the cache.
    fn cached_files(&self) -> Vec<PathBuf>;

    /// Whether no request to the hub is possible: an option forbids requests, or the hub has not
    /// answered. A file that the cache lacks may then exist on the hub.
    fn uses_cache_alone(&self) -> bool;
}
