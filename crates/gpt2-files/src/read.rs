//! Bounded reads: a hostile file cannot block them or exhaust the memory.

use std::fs::{self, File, Metadata};
use std::io::Read;
use std::path::Path;

use crate::error::{FileError, read_error};

/// Metadata of a regular file.
///
/// Call this before opening the file: opening a pipe waits for its other end.
///
/// # Errors
///
/// [`FileError::Read`], and [`FileError::NotAFile`] for a folder, pipe, socket or device.
pub fn regular_file(path: &Path) -> Result<Metadata, FileError> {
    let metadata = fs::metadata(path).map_err(read_error(path))?;
    if metadata.is_file() { Ok(metadata) } else { Err(FileError::NotAFile { path: path.into() }) }
}

/// Whether a path exists. Only the operating system's "not found" means that it does not.
///
/// # Errors
///
/// [`FileError::Read`], such as for a folder that this user may not search.
pub fn exists(path: &Path) -> Result<bool, FileError> {
    path.try_exists().map_err(read_error(path))
}

/// Reads an open file of at most `limit` bytes; `path` is its name in messages.
///
/// # Errors
///
/// [`FileError::Read`], [`FileError::TooLarge`].
pub fn read_bounded(file: File, path: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
    let too_large = |size| FileError::TooLarge { path: path.into(), size, limit };
    let size = file.metadata().map_err(read_error(path))?.len();
    if size > limit {
        return Err(too_large(size));
    }
    let mut bytes = Vec::with_capacity(size as usize);
    // The bound also holds for a file that grows during the read, and for a device, which has no
    // size.
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(read_error(path))?;
    if bytes.len() as u64 > limit { Err(too_large(bytes.len() as u64)) } else { Ok(bytes) }
}

/// Reads the text of a regular file of at most `limit` bytes.
///
/// # Errors
///
/// As [`regular_file`] and [`read_bounded`], and [`FileError::NotUtf8`].
pub fn read_text(path: &Path, limit: u64) -> Result<String, FileError> {
    regular_file(path)?;
    read_text_or_pipe(path, limit)
}

/// Reads the text of a file, pipe or device of at most `limit` bytes. Waits until a pipe is closed.
///
/// # Errors
///
/// As [`read_bounded`], and [`FileError::NotUtf8`].
pub fn read_text_or_pipe(path: &Path, limit: u64) -> Result<String, FileError> {
    let file = File::open(path).map_err(read_error(path))?;
    utf8(read_bounded(file, path, limit)?, path)
}

/// Converts bytes to text; `path` is their name in messages.
///
/// # Errors
///
/// [`FileError::NotUtf8`].
pub fn utf8(bytes: Vec<u8>, path: &Path) -> Result<String, FileError> {
    String::from_utf8(bytes).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        FileError::NotUtf8 { path: path.into(), offset }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_within_its_bound() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "four").unwrap();
        assert_eq!(read_text(&path, 4).unwrap(), "four");
        let error = read_text(&path, 3).unwrap_err();
        assert!(matches!(error, FileError::TooLarge { size: 4, limit: 3, .. }), "{error}");
        fs::write(&path, b"ab\xff").unwrap();
        let error = read_text(&path, 4).unwrap_err();
        assert!(matches!(error, FileError::NotUtf8 { offset: 2, .. }), "{error}");
        let null = Path::new("/dev/null");
        if null.exists() {
            assert_eq!(read_text_or_pipe(null, 4).unwrap(), "");
            assert!(matches!(read_text(null, 4), Err(FileError::NotAFile { .. })));
        }
        let error = read_text(folder.path(), 4).unwrap_err();
        assert!(matches!(error, FileError::NotAFile { .. }), "{error}");
    }

    #[test]
    fn only_what_is_not_found_does_not_exist() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        assert!(!exists(&file).unwrap());
        fs::write(&file, "").unwrap();
        assert!(exists(&file).unwrap());
        let long = folder.path().join("a".repeat(1000));
        assert!(matches!(exists(&long), Err(FileError::Read { path, .. }) if path == long));
    }

    #[test]
    fn a_cause_is_printed_once() {
        let error = read_text(Path::new("no such file"), 4).unwrap_err();
        let source = std::error::Error::source(&error).expect("the system's answer").to_string();
        assert!(!error.to_string().contains(&source), "{error}: {source}");
    }
}
