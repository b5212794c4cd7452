//! Helpers for the folder of a cache.

use std::fs;
use std::path::{Path, PathBuf};

/// Total size of the files in bytes.
pub(crate) fn total_size(files: &[PathBuf]) -> u64 {
    files.iter().filter_map(|file| fs::metadata(file).ok()).map(|found| found.len()).sum()
}

/// Names of the folders in a folder, sorted. Empty if the folder cannot be read.
pub(crate) fn folders_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.path().is_dir());
    let mut names: Vec<_> =
        folders.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// Complete files below a folder, sorted. Empty if the folder cannot be read.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let is_partial = path.extension().is_some_and(|it| it == "incomplete" || it == "etag");
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(path);
            } else if !is_partial && path.is_file() {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}
