//! Lists the files of a folder for an upload.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use gpt2_files::{FileError, read_error};

use crate::error::HubError;
use crate::snapshot::blobs_of_snapshot;
use crate::upload::upload_file::UploadFile;

/// Largest depth of nested folders. A preset has two levels: `assets/tokenizer`.
const MAX_DEPTH: usize = 16;

/// Lists the files of a folder to be uploaded, sorted by name.
///
/// Skips hidden files, `*.tmp` and `*.incomplete`. A link may lead to another file of the folder;
/// in a snapshot of Hugging Face's cache, also to the cache's blobs.
///
/// # Errors
///
/// [`HubError::NotUploadable`] for a link that leaves the folder, a name that no hub accepts, and
/// folders that are nested too deeply; [`HubError::File`].
pub fn files_to_upload(folder: &Path) -> Result<Vec<UploadFile>, HubError> {
    let root = folder.canonicalize().map_err(read_error(folder))?;
    let mut found = BTreeMap::new();
    visit(&root, folder, "", 0, &mut found)?;
    Ok(found.into_values().collect())
}

fn visit(
    root: &Path,
    folder: &Path,
    prefix: &str,
    depth: usize,
    found: &mut BTreeMap<String, UploadFile>,
) -> Result<(), HubError> {
    if depth > MAX_DEPTH {
        return Err(refused(folder, "it is nested too deeply; a preset has two levels of folders"));
    }
    for entry in fs::read_dir(folder).map_err(read_error(folder))? {
        let entry = entry.map_err(read_error(folder))?;
        let path = entry.path();
        let name = entry.file_name();
        let Some(name) = name.to_str() else {
            return Err(refused(&path, "its name is not Unicode; rename it"));
        };
        if stays_behind(name) {
            continue;
        }
        if name.contains(['\\', ':']) || name.contains(char::is_control) {
            return Err(refused(&path, "its name has characters that no hub accepts; rename it"));
        }
        let name = format!("{prefix}{name}");
        let link = entry.file_type().map_err(read_error(&path))?.is_symlink();
        if link {
            check_link(root, &path)?;
        }
        let metadata = fs::metadata(&path).map_err(read_error(&path))?;
        if metadata.is_dir() && !link {
            visit(root, &path, &format!("{name}/"), depth + 1, found)?;
        } else if metadata.is_file() {
            found.insert(name.clone(), UploadFile::on_disk(name, path, &metadata));
        } else {
            return Err(FileError::NotAFile { path }.into());
        }
    }
    Ok(())
}

/// Whether a file is hidden, or left by an interrupted save or download.
fn stays_behind(name: &str) -> bool {
    name.starts_with('.') || name.ends_with(".tmp") || name.ends_with(".incomplete")
}

/// Refuses a link that leaves the folder, other than to the blobs of a snapshot.
fn check_link(root: &Path, path: &Path) -> Result<(), HubError> {
    let target = path.canonicalize().map_err(read_error(path))?;
    let blobs = blobs_of_snapshot(root);
    let inside =
        target.starts_with(root) || (blobs.is_some() && target.parent() == blobs.as_deref());
    if inside {
        Ok(())
    } else {
        Err(refused(path, "it is a link that leaves the folder; replace it by the file itself"))
    }
}

fn refused(path: &Path, why: &'static str) -> HubError {
    HubError::NotUploadable { path: path.into(), why }
}
