//! Stage 2d, in part: what of a preset is on this machine already.

use std::fs;
use std::path::{Path, PathBuf};

use super::client::Client;
use super::folder;
use super::options::HubOptions;
use crate::PresetError;
use crate::handle::{Location, locate};

/// The files of a preset that are in the cache of one hub.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CachedFiles {
    /// The hub's handle: `kaggle://keras/gpt2/keras/gpt2_base_en/3`.
    pub source: String,
    /// The whole files, in their order.
    pub files: Vec<PathBuf>,
    /// Their size in bytes, all together.
    pub size: u64,
}

/// Finds what of a preset has been downloaded, by this library or by the hubs' Python clients.
///
/// Gives an element for each place that has the preset and of which a file is in the cache, the
/// preferred place first; none for a folder, and for the preset that is part of this library. No
/// hub is asked anything.
///
/// ```
/// use gpt2_presets::{HubOptions, cached_files};
///
/// for cached in cached_files("gpt2_base_en", &HubOptions::new())? {
///     println!("{}: {} files, {} bytes", cached.source, cached.files.len(), cached.size);
/// }
/// # Ok::<(), gpt2_presets::PresetError>(())
/// ```
///
/// # Errors
///
/// [`PresetError::UnknownPreset`] and [`PresetError::InvalidHandle`].
pub fn cached_files(preset: &str, options: &HubOptions) -> Result<Vec<CachedFiles>, PresetError> {
    let Location::Hub(sources) = locate(preset)? else { return Ok(Vec::new()) };
    let client = Client::new(options);
    let mut found = Vec::new();
    for source in &sources {
        // Where there is no folder for a cache, there is nothing in it.
        let Ok(folder) = folder(source, &client) else { continue };
        let files = folder.cached_files();
        if !files.is_empty() {
            let size = total_size(&files);
            found.push(CachedFiles { source: source.to_string(), files, size });
        }
    }
    Ok(found)
}

/// In bytes.
pub(crate) fn total_size(files: &[PathBuf]) -> u64 {
    files.iter().filter_map(|file| fs::metadata(file).ok()).map(|found| found.len()).sum()
}

/// All files in a folder and the folders in it, in their order, but for those that are not whole;
/// none if it cannot be read.
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
