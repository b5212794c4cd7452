//! Check of a destination before a save replaces it as a whole.

use std::fs;
use std::path::{Path, absolute};

use gpt2_files::FileError;

use crate::formats::config_file::CONFIG_FILE;
use crate::formats::preset_format::PresetFormat;
use crate::formats::{is_part, writer_of};
use crate::open::folder_files::names;
use crate::preset::Preset;

/// Checks that a file or folder may be replaced as a whole by a preset of this format, and that
/// nothing else is lost with it. A path that does not exist passes.
///
/// A GGUF file replaces only a GGUF file or an empty file. A folder replaces only a folder that is
/// empty, or that has a preset of GPT-2 and nothing else. [`Save::save`](crate::Save::save) needs no
/// check: it keeps the other files of a folder.
///
/// ```
/// use gpt2_presets::{PresetFormat, check_replaceable};
///
/// let folder = tempfile::tempdir()?;
/// check_replaceable(folder.path(), PresetFormat::Keras)?;
/// std::fs::write(folder.path().join("diary.txt"), "Dear diary")?;
/// let error = check_replaceable(folder.path(), PresetFormat::Keras).unwrap_err();
/// assert!(error.to_string().contains("diary.txt"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`FileError::Precious`], which names the first thing that would be lost, and
/// [`FileError::Read`].
pub fn check_replaceable(path: &Path, format: PresetFormat) -> Result<(), FileError> {
    writer_of(format).check_replaced_file(path).unwrap_or_else(|| check_folder(path))
}

fn check_folder(path: &Path) -> Result<(), FileError> {
    let Ok(found) = fs::symlink_metadata(path) else { return Ok(()) };
    let precious = |why: String| Err(FileError::Precious { path: path.into(), why });
    if !found.is_dir() {
        return precious("it is a file, and a folder would take its place".to_owned());
    }
    let names = names(path)?;
    if let Some(name) = names.iter().find(|name| !is_part(name)) {
        return precious(format!("it holds `{name}`, which is no part of a preset"));
    }
    if names.is_empty() || is_preset(path) {
        return Ok(());
    }
    precious("it is no preset of GPT-2".to_owned())
}

/// Whether a folder has a preset with a config.
fn is_preset(folder: &Path) -> bool {
    // An absolute path is never taken for a built-in preset.
    folder.join(CONFIG_FILE).is_file()
        && absolute(folder).is_ok_and(|folder| Preset::open(folder).is_ok())
}
