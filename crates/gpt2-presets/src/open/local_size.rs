//! Size of a preset that is a folder or file of the user.

use std::fs;
use std::path::Path;

use gpt2_files::read_error;

use crate::error::PresetError;
use crate::open::folder_files::names;
use crate::open::locate::{Location, locate};

/// Size in bytes of a preset at a path. None for a built-in name or a hub's handle.
///
/// Folders within it that have no files of a preset do not count, such as that of a training.
///
/// ```
/// use gpt2_presets::local_size;
///
/// assert_eq!(local_size("gpt2_base_en")?, None);
/// # Ok::<(), gpt2_presets::PresetError>(())
/// ```
///
/// # Errors
///
/// As [`Preset::open`](crate::Preset::open) for a name or path, and
/// [`FileError::Read`](gpt2_files::FileError::Read).
pub fn local_size(preset: impl AsRef<Path>) -> Result<Option<u64>, PresetError> {
    match locate(preset.as_ref())? {
        Location::Bundled | Location::Hub(_) => Ok(None),
        Location::Local(path) => size(&path).map(Some),
    }
}

fn size(path: &Path) -> Result<u64, PresetError> {
    if !path.is_dir() {
        return Ok(fs::metadata(path).map_err(read_error(path))?.len());
    }
    let paths = names(path)?.into_iter().map(|name| path.join(name)).filter(|path| path.is_file());
    let sizes = paths.map(|path| Ok(fs::metadata(&path).map_err(read_error(&path))?.len()));
    sizes.sum()
}
