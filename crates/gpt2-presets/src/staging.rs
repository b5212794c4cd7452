//! Stage 11: files that are written under temporary names, and then put in their places together.
//!
//! Nearly all that can go wrong (no space, no permission, something in the way) goes wrong before
//! the first old file is replaced, so that a folder holds the old preset or the new one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;

use crate::PresetError;

/// The files of a preset on their way to the disk.
pub(crate) struct Staging {
    folder: PathBuf,
    /// Written, in the order in which they get their names.
    files: Vec<StagedFile>,
    /// What must go, because a loader would prefer it to the new files.
    obsolete: Vec<PathBuf>,
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
        Ok(Self { folder: folder.into(), files: Vec::new(), obsolete: Vec::new() })
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
        if let Some(parent) = target.parent() {
            create_folder(parent)?;
        }
        if target.is_dir() {
            return Err(write_error(&target)(io::ErrorKind::IsADirectory.into()));
        }
        let (staged, mut file) = StagedFile::create(target)?;
        let written = write(&staged.temporary, &mut file).and_then(|()| file.sync_all());
        written.map_err(write_error(&staged.target))?;
        self.files.push(staged);
        Ok(())
    }

    /// Has an older file removed, if there is one, before the last file gets its place.
    pub(crate) fn obsolete(&mut self, name: &str) -> Result<(), PresetError> {
        let path = self.folder.join(name);
        if path.is_dir() {
            return Err(write_error(&path)(io::ErrorKind::IsADirectory.into()));
        }
        if path.exists() {
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
        last.put()
    }
}

impl StagedFile {
    fn create(target: PathBuf) -> Result<(Self, File), PresetError> {
        static FILES: AtomicU64 = AtomicU64::new(0);
        let number = FILES.fetch_add(1, Ordering::Relaxed);
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let name = format!(".{name}.{}-{number}.tmp", std::process::id());
        let temporary = target.with_file_name(name);
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

fn create_folder(folder: &Path) -> Result<(), PresetError> {
    if folder.exists() && !folder.is_dir() {
        return Err(write_error(folder)(io::ErrorKind::NotADirectory.into()));
    }
    fs::create_dir_all(folder).map_err(write_error(folder))
}

fn write_error(path: &Path) -> impl FnOnce(io::Error) -> PresetError {
    let path = path.to_owned();
    move |source| PresetError::Write { path, source }
}
