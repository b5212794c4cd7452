//! Recognition of a GGUF file by its first bytes.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use gpt2_files::{FileError, read_error};

use crate::formats::gguf::keys::MAGIC;

/// Whether a regular file of any name begins as a GGUF file.
pub(crate) fn has_magic(path: &Path) -> Result<bool, FileError> {
    // Opening a pipe would block until its other end is opened.
    if !path.is_file() {
        return Ok(false);
    }
    let mut start = Vec::with_capacity(MAGIC.len());
    let file = File::open(path).map_err(read_error(path))?;
    file.take(MAGIC.len() as u64).read_to_end(&mut start).map_err(read_error(path))?;
    Ok(start == MAGIC)
}

/// Returns an error for a path whose content a new GGUF file must not replace: all but GGUF files
/// and empty files.
pub(crate) fn check_replaced(path: &Path) -> Result<(), FileError> {
    let Ok(found) = fs::symlink_metadata(path) else { return Ok(()) };
    let is_empty = found.is_file() && found.len() == 0;
    let why = match found.is_dir() {
        true => "it is a folder, and a GGUF file would take its place",
        false if is_empty || has_magic(path)? => return Ok(()),
        false => "it is not a GGUF file",
    };
    Err(FileError::Precious { path: path.into(), why: why.to_owned() })
}
