//! Files that are written under temporary names and then get their names together.
//!
//! Most failures (no space, no permission, a folder in the way) happen before the first old file is
//! replaced. The folder then still holds the old files.
//!
//! A process that is killed leaves its temporary files. The next process that saves files of the
//! same names removes them, unless a third one is saving into the folder at that time.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{FileError, write_error};
use crate::staged::{Staged, without_end};
use crate::temporary::{
    TEMPORARY_SUFFIX, lock_alone, parent, remove_temporaries, sync_folder, temporary_name,
};

/// Files of one folder that are written but not named yet.
///
/// Dropping it without [`commit`](Self::commit) removes them.
pub struct Staging {
    folder: PathBuf,
    /// Written files, in the order in which they get their names.
    files: Vec<StagedFile>,
    /// Files to remove, because a loader would prefer them to the new ones.
    obsolete: Vec<PathBuf>,
    /// The folder, locked if no other process saves into it: its temporary files are then
    /// abandoned.
    alone: Option<File>,
}

/// File under its temporary name.
struct StagedFile {
    temporary: Staged,
    target: PathBuf,
}

impl Staging {
    /// Stages files for this folder, which is created if it does not exist.
    ///
    /// # Errors
    ///
    /// [`FileError::Write`].
    pub fn new(folder: &Path) -> Result<Self, FileError> {
        create_folder(folder)?;
        let alone = lock_alone(folder);
        Ok(Self { folder: folder.into(), files: Vec::new(), obsolete: Vec::new(), alone })
    }

    /// Stages a text file.
    ///
    /// # Errors
    ///
    /// As [`file`](Self::file).
    pub fn text(&mut self, name: &str, text: &str) -> Result<(), FileError> {
        self.file(name, |_, file| file.write_all(text.as_bytes()))
    }

    /// Stages a JSON value in its alternate form (`{:#}`), which `serde_json` indents.
    ///
    /// # Errors
    ///
    /// As [`file`](Self::file).
    pub fn json(&mut self, name: &str, json: &impl fmt::Display) -> Result<(), FileError> {
        self.text(name, &format!("{json:#}\n"))
    }

    /// Stages a file that `write` fills. `write` also receives the temporary path. `name` may
    /// contain folders.
    ///
    /// # Errors
    ///
    /// [`FileError::Write`], which names the target.
    pub fn file(
        &mut self,
        name: &str,
        write: impl FnOnce(&Path, &mut File) -> io::Result<()>,
    ) -> Result<(), FileError> {
        let target = self.folder.join(name);
        self.fallible_file(name, |path, file| write(path, file).map_err(write_error(&target)))
    }

    /// As [`file`](Self::file), for a `write` that may fail for reasons of its own.
    ///
    /// # Errors
    ///
    /// [`FileError::Write`], and those of `write`.
    pub fn fallible_file<E: From<FileError>>(
        &mut self,
        name: &str,
        write: impl FnOnce(&Path, &mut File) -> Result<(), E>,
    ) -> Result<(), E> {
        let target = self.folder.join(name);
        create_folder(parent(&target))?;
        if target.is_dir() {
            return Err(write_error(&target)(io::ErrorKind::IsADirectory.into()).into());
        }
        if self.alone.is_some() {
            remove_temporaries(&target);
        }
        let (staged, mut file) = StagedFile::create(target)?;
        write(staged.temporary.path(), &mut file)?;
        file.sync_all().map_err(write_error(&staged.target))?;
        self.files.push(staged);
        Ok(())
    }

    /// Path that a file will have after [`commit`](Self::commit).
    pub fn target(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Marks files of the folder for removal: those that are not staged so far and whose name
    /// `is_such`. They are removed before the last file gets its name.
    ///
    /// # Errors
    ///
    /// [`FileError::Write`], also for a folder with such a name.
    pub fn obsolete_where(&mut self, is_such: impl Fn(&str) -> bool) -> Result<(), FileError> {
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

    /// Gives all files their names, in the order in which they were staged.
    ///
    /// # Errors
    ///
    /// [`FileError::Write`].
    pub fn commit(self) -> Result<(), FileError> {
        without_end(|| self.put())
    }

    fn put(&self) -> Result<(), FileError> {
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
    fn create(target: PathBuf) -> Result<(Self, File), FileError> {
        static FILES: AtomicU64 = AtomicU64::new(0);
        let number = FILES.fetch_add(1, Ordering::Relaxed);
        let path = target.with_file_name(temporary_name(&target, number, TEMPORARY_SUFFIX));
        let create = || {
            let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
            Ok((path, file))
        };
        let (temporary, file) = Staged::create(create).map_err(write_error(&target))?;
        Ok((Self { temporary, target }, file))
    }

    fn put(&self) -> Result<(), FileError> {
        fs::rename(self.temporary.path(), &self.target).map_err(write_error(&self.target))
    }
}

fn create_folder(folder: &Path) -> Result<(), FileError> {
    if folder.exists() && !folder.is_dir() {
        return Err(write_error(folder)(io::ErrorKind::NotADirectory.into()));
    }
    fs::create_dir_all(folder).map_err(write_error(folder))
}
