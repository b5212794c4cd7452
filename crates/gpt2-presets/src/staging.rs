//! Stage 11: files that are written under temporary names, and then put in their places together.
//!
//! Nearly all that can go wrong (no space, no permission, something in the way) goes wrong before
//! the first old file is replaced, so that a folder holds the old preset or the new one.
//!
//! A process that is killed leaves its temporary files behind. The next one that saves files of the
//! same names removes them, unless another process is saving into the folder just then.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;

use crate::PresetError;

/// How the names of temporary files end.
const TEMPORARY_SUFFIX: &str = ".tmp";

/// The files of a preset on their way to the disk.
pub(crate) struct Staging {
    folder: PathBuf,
    /// Written, in the order in which they get their names.
    files: Vec<StagedFile>,
    /// What must go, because a loader would prefer it to the new files.
    obsolete: Vec<PathBuf>,
    /// The folder, locked while nobody else saves into it: temporary files there are abandoned.
    alone: Option<File>,
}

/// A file under its temporary name, which it loses when it is dropped.
struct StagedFile {
    temporary: PathBuf,
    target: PathBuf,
}

impl Staging {
    /// Files for this folder, which is created if need be.
    pub(crate) fn new(folder: &Path) -> Result<Self, PresetError> {
        create_folder(folder)?;
        let alone = lock_alone(folder);
        Ok(Self { folder: folder.into(), files: Vec::new(), obsolete: Vec::new(), alone })
    }

    /// Stages a JSON file.
    pub(crate) fn json(&mut self, name: &str, json: &Value) -> Result<(), PresetError> {
        // The alternate form is the indented one.
        self.text(name, &format!("{json:#}\n"))
    }

    /// Stages a text file.
    pub(crate) fn text(&mut self, name: &str, text: &str) -> Result<(), PresetError> {
        self.file(name, |_, file| file.write_all(text.as_bytes()))
    }

    /// Stages a file that `write` fills; it is given the path too. `name` may lead through folders.
    pub(crate) fn file(
        &mut self,
        name: &str,
        write: impl FnOnce(&Path, &mut File) -> io::Result<()>,
    ) -> Result<(), PresetError> {
        let target = self.folder.join(name);
        self.fallible_file(name, |path, file| write(path, file).map_err(write_error(&target)))
    }

    /// As [`file`](Self::file), where `write` may fail for reasons of its own.
    pub(crate) fn fallible_file(
        &mut self,
        name: &str,
        write: impl FnOnce(&Path, &mut File) -> Result<(), PresetError>,
    ) -> Result<(), PresetError> {
        let target = self.folder.join(name);
        if let Some(parent) = target.parent() {
            create_folder(parent)?;
        }
        if target.is_dir() {
            return Err(write_error(&target)(io::ErrorKind::IsADirectory.into()));
        }
        if self.alone.is_some() {
            remove_temporaries(&target);
        }
        let (staged, mut file) = StagedFile::create(target)?;
        write(&staged.temporary, &mut file)?;
        file.sync_all().map_err(write_error(&staged.target))?;
        self.files.push(staged);
        Ok(())
    }

    /// The path that a file is going to have.
    pub(crate) fn target(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Has all files in the folder with such names removed that are not among those staged so far,
    /// before the last file gets its place.
    pub(crate) fn obsolete_where(
        &mut self,
        is_such: impl Fn(&str) -> bool,
    ) -> Result<(), PresetError> {
        let entries = fs::read_dir(&self.folder).map_err(write_error(&self.folder))?;
        for entry in entries {
            let name = entry.map_err(write_error(&self.folder))?.file_name();
            let path = self.folder.join(&name);
            let is_staged = self.files.iter().any(|file| file.target == path);
            if is_staged || !name.to_str().is_some_and(&is_such) {
                continue;
            }
            if path.is_dir() {
                return Err(write_error(&path)(io::ErrorKind::IsADirectory.into()));
            }
            self.obsolete.push(path);
        }
        Ok(())
    }

    /// Puts all files in their places, the last one last.
    pub(crate) fn commit(self) -> Result<(), PresetError> {
        let Some((last, others)) = self.files.split_last() else { return Ok(()) };
        for staged in others {
            staged.put()?;
        }
        for path in &self.obsolete {
            fs::remove_file(path).map_err(write_error(path))?;
        }
        last.put()?;
        let folders: BTreeSet<_> =
            self.files.iter().filter_map(|file| file.target.parent()).collect();
        folders.into_iter().for_each(sync_folder);
        Ok(())
    }
}

impl StagedFile {
    fn create(target: PathBuf) -> Result<(Self, File), PresetError> {
        static FILES: AtomicU64 = AtomicU64::new(0);
        let number = FILES.fetch_add(1, Ordering::Relaxed);
        let temporary = target.with_file_name(temporary_name(&target, number, TEMPORARY_SUFFIX));
        let file = OpenOptions::new().write(true).create_new(true).open(&temporary);
        let file = file.map_err(write_error(&target))?;
        Ok((Self { temporary, target }, file))
    }

    fn put(&self) -> Result<(), PresetError> {
        fs::rename(&self.temporary, &self.target).map_err(write_error(&self.target))
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        // Absent once it was renamed. Else the write has failed already, and a left-over file
        // would be the lesser fault.
        let _ = fs::remove_file(&self.temporary);
    }
}

/// Removes what killed processes have left of their attempts to write this file, unless someone
/// is saving into its folder just now.
pub(crate) fn remove_abandoned(target: &Path) {
    if let Some(_alone) = target.parent().and_then(lock_alone) {
        remove_temporaries(target);
    }
}

/// Makes what was renamed or removed in a folder survive a loss of power.
///
/// Not every file system can do that for a folder; on those it happens when it happens.
pub(crate) fn sync_folder(folder: &Path) {
    let _ = open_folder(folder).and_then(|folder| folder.sync_all());
}

/// Locks the folder if nobody else has. The system releases the lock of a process that is killed.
fn lock_alone(folder: &Path) -> Option<File> {
    let folder = open_folder(folder).ok()?;
    folder.try_lock().ok().map(|()| folder)
}

fn open_folder(folder: &Path) -> io::Result<File> {
    // A bare file name has an empty parent.
    File::open(if folder.as_os_str().is_empty() { Path::new(".") } else { folder })
}

/// Removes the temporary files of `target`, and nothing whose name is not exactly theirs.
fn remove_temporaries(target: &Path) {
    let prefix = temporary_prefix(target);
    let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty());
    let Ok(entries) = fs::read_dir(parent.unwrap_or(Path::new("."))) else { return };
    for entry in entries.flatten() {
        let is_temporary = |name| is_temporary(name, &prefix, TEMPORARY_SUFFIX);
        if entry.file_name().to_str().is_some_and(is_temporary) {
            // Where that fails the file stays, which is the lesser fault.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// The name of this process' temporary file of `target` with a number.
pub(crate) fn temporary_name(target: &Path, number: u64, suffix: &str) -> String {
    format!("{}{}-{number}{suffix}", temporary_prefix(target), std::process::id())
}

/// How the names of the temporary files of `target` begin, of all processes.
pub(crate) fn temporary_prefix(target: &Path) -> String {
    format!(".{}.", target.file_name().unwrap_or_default().to_string_lossy())
}

/// Whether a name is exactly one that [`temporary_name`] makes.
pub(crate) fn is_temporary(name: &str, prefix: &str, suffix: &str) -> bool {
    let numbers = name.strip_prefix(prefix).and_then(|name| name.strip_suffix(suffix));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let numbers = numbers.and_then(|numbers| numbers.split_once('-'));
    numbers.is_some_and(|(process, number)| digits(process) && digits(number))
}

fn create_folder(folder: &Path) -> Result<(), PresetError> {
    if folder.exists() && !folder.is_dir() {
        return Err(write_error(folder)(io::ErrorKind::NotADirectory.into()));
    }
    fs::create_dir_all(folder).map_err(write_error(folder))
}

pub(crate) fn write_error(path: &Path) -> impl FnOnce(io::Error) -> PresetError {
    let path = path.to_owned();
    move |source| PresetError::Write { path, source }
}
