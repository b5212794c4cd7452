//! Snapshots in the cache of Hugging Face, whose files are links.

use std::path::{Path, PathBuf};

/// Folder of the files that a snapshot's links lead to. None if `folder` is not a snapshot in the
/// cache of Hugging Face.
///
/// ```
/// use std::path::Path;
/// use gpt2_hub::blobs_of_snapshot;
///
/// let snapshot = Path::new("hub/models--openai-community--gpt2/snapshots/607a30d");
/// let blobs = Path::new("hub/models--openai-community--gpt2/blobs");
/// assert_eq!(blobs_of_snapshot(snapshot).as_deref(), Some(blobs));
/// assert_eq!(blobs_of_snapshot(Path::new("models/gpt2")), None);
/// ```
pub fn blobs_of_snapshot(folder: &Path) -> Option<PathBuf> {
    let snapshots = folder.parent()?;
    (snapshots.file_name()? == "snapshots").then(|| snapshots.with_file_name("blobs"))
}
