//! Files at a path, and their kinds by name.

use std::fs;
use std::path::{Path, PathBuf};

use gpt2_files::{read_error, regular_file};

use crate::error::DataError;

/// Extension of the files that `Corpus::tokenize` writes.
pub(crate) const CACHE_EXTENSION: &str = "tokens";
/// Extension of the files of token ids in a folder.
pub(crate) const SHARD_EXTENSION: &str = "bin";

/// Returns the file, or the files in the folder and below it, sorted.
///
/// Skips files and folders whose names begin with a dot, and does not follow links to folders.
///
/// # Errors
///
/// [`FileError::Read`](gpt2_files::FileError::Read),
/// [`FileError::NotAFile`](gpt2_files::FileError::NotAFile) for a pipe, socket or device, and
/// [`DataError::NoFiles`] for a folder without files.
pub(crate) fn files_of(path: &Path) -> Result<Vec<PathBuf>, DataError> {
    if !fs::metadata(path).map_err(read_error(path))?.is_dir() {
        regular_file(path)?;
        return Ok(vec![path.into()]);
    }
    let mut files = Vec::new();
    collect(path, &mut files)?;
    files.sort();
    if files.is_empty() {
        return Err(DataError::NoFiles { path: path.into() });
    }
    Ok(files)
}

/// Adds the files in a folder and below it.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), DataError> {
    for entry in fs::read_dir(folder).map_err(read_error(folder))? {
        let entry = entry.map_err(read_error(folder))?;
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        let kind = entry.file_type().map_err(read_error(&path))?;
        if kind.is_dir() {
            collect(&path, files)?;
        } else if !(kind.is_symlink() && path.is_dir()) {
            regular_file(&path)?;
            files.push(path);
        }
    }
    Ok(())
}

/// Whether the file's name ends in `.extension`, in upper or lower case.
pub(crate) fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found.eq_ignore_ascii_case(extension))
}

#[cfg(test)]
mod tests {
    use gpt2_files::FileError;

    use super::*;

    #[test]
    fn a_folder_is_walked_in_sorted_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        fs::create_dir_all(path.join("b/c")).unwrap();
        fs::create_dir(path.join(".git")).unwrap();
        for name in ["z.md", "b/2.txt", "b/c/1.txt", "a.txt", ".hidden", ".git/x"] {
            fs::write(path.join(name), name).unwrap();
        }
        let expected = ["a.txt", "b/2.txt", "b/c/1.txt", "z.md"].map(|name| path.join(name));
        assert_eq!(files_of(path).unwrap(), expected);
        assert_eq!(files_of(&path.join("z.md")).unwrap(), [path.join("z.md")]);
    }

    #[test]
    fn what_is_absent_or_empty_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let absent = folder.path().join("absent");
        let error = files_of(&absent).unwrap_err();
        assert!(
            matches!(&error, DataError::File(FileError::Read { path, .. }) if *path == absent),
            "{error}"
        );
        let error = files_of(folder.path()).unwrap_err();
        assert!(matches!(error, DataError::NoFiles { .. }), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn links_cannot_loop_and_pipes_cannot_block() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        fs::write(path.join("a.txt"), "a").unwrap();
        symlink(path, path.join("loop")).unwrap();
        symlink(path.join("a.txt"), path.join("b.txt")).unwrap();
        assert_eq!(files_of(path).unwrap(), [path.join("a.txt"), path.join("b.txt")]);

        assert!(matches!(
            files_of(Path::new("/dev/null")),
            Err(DataError::File(FileError::NotAFile { .. }))
        ));
        let socket = std::os::unix::net::UnixListener::bind(path.join("socket")).unwrap();
        assert!(matches!(files_of(path), Err(DataError::File(FileError::NotAFile { .. }))));
        drop(socket);
    }
}
