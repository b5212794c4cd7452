//! Folder on a hub, as those who read from it see it.

use std::fmt;
use std::path::PathBuf;

use crate::error::HubError;

/// Folder of a model on a hub. Each file is downloaded when it is asked for.
pub trait RemoteFolder: fmt::Debug + Send + Sync {
    /// Name of a file in messages: `hf://owner/model/config.json`.
    fn display(&self, name: &str) -> String;

    /// Downloads a file, unless it is in the cache, and returns its path on the disk; none if the hub
    /// does not have it. The file is whole and verified. `name` may lead through folders, by `/`.
    ///
    /// # Errors
    ///
    /// Failures of the hub, the network or the disk, a content that is not the promised one, and a
    /// name that could lead out of the folder.
    fn fetch(&self, name: &str) -> Result<Option<PathBuf>, HubError>;

    /// The whole files of the cache.
    fn cached_files(&self) -> Vec<PathBuf>;

    /// Whether the hub must not be asked, or has not answered. A file that the cache lacks may then
    /// exist or not.
    fn uses_cache_alone(&self) -> bool;
}
