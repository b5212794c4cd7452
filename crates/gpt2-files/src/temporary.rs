//! Names of temporary files, and the removal of those that killed processes left.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Suffix of the names of temporary files.
pub(crate) const TEMPORARY_SUFFIX: &str = ".tmp";

/// Name of this process's temporary file number `number` for `target`.
pub fn temporary_name(target: &Path, number: u64, suffix: &str) -> String {
    format!("{}{}-{number}{suffix}", temporary_prefix(target), std::process::id())
}

/// Prefix of the names of the temporary files for `target`, of all processes.
pub fn temporary_prefix(target: &Path) -> String {
    format!(".{}.", target.file_name().unwrap_or_default().to_string_lossy())
}

/// Whether [`temporary_name`] can make a name.
pub fn is_temporary(name: &str, prefix: &str, suffix: &str) -> bool {
    let numbers = name.strip_prefix(prefix).and_then(|name| name.strip_suffix(suffix));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let numbers = numbers.and_then(|numbers| numbers.split_once('-'));
    numbers.is_some_and(|(process, number)| digits(process) && digits(number))
}

/// Removes the temporary files for `target` that killed processes left, unless another process is
/// saving into its folder.
pub fn remove_abandoned(target: &Path) {
    if let Some(_alone) = lock_alone(parent(target)) {
        remove_temporaries(target);
    }
}

/// Makes renames and removals in a folder survive a loss of power, on file systems that can sync a
/// folder.
pub fn sync_folder(folder: &Path) {
    let _ = File::open(named(folder)).and_then(|folder| folder.sync_all());
}

/// Removes the temporary files for `target`. Files with any other name stay.
pub(crate) fn remove_temporaries(target: &Path) {
    let prefix = temporary_prefix(target);
    let Ok(entries) = fs::read_dir(parent(target)) else { return };
    for entry in entries.flatten() {
        let is_temporary = |name| is_temporary(name, &prefix, TEMPORARY_SUFFIX);
        if entry.file_name().to_str().is_some_and(is_temporary) {
            // Failing to remove a file is harmless: it only takes space.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Locks a folder if no other process has. The system releases the lock of a process that is
/// killed.
pub(crate) fn lock_alone(folder: &Path) -> Option<File> {
    let folder = File::open(named(folder)).ok()?;
    folder.try_lock().ok().map(|()| folder)
}

/// Parent folder of a path; the current folder for a bare name, whose parent is empty.
pub(crate) fn parent(path: &Path) -> &Path {
    named(path.parent().unwrap_or(Path::new("")))
}

fn named(folder: &Path) -> &Path {
    if folder.as_os_str().is_empty() { Path::new(".") } else { folder }
}

/// Calls `make` with new temporary names for `target` until one is free.
pub(crate) fn with_new_name<T>(
    target: &Path,
    suffix: &str,
    make: impl Fn(&Path) -> io::Result<T>,
) -> io::Result<(std::path::PathBuf, T)> {
    for number in 0.. {
        let path = target.with_file_name(temporary_name(target, number, suffix));
        match make(&path) {
            Ok(made) => return Ok((path, made)),
            // The name is taken by another thread, or by an earlier process with the same id.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_names_are_temporary() {
        let target = Path::new("folder/model.h5");
        let name = temporary_name(target, 7, ".tmp");
        let prefix = temporary_prefix(target);
        assert!(is_temporary(&name, &prefix, ".tmp"), "{name}");
        for name in ["model.h5", ".model.h5.tmp", ".model.h5.1-.x.tmp", ".model.h5.1-2.part"] {
            assert!(!is_temporary(name, &prefix, ".tmp"), "{name}");
        }
    }
}
