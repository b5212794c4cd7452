//! Partial file of a download, under a name of its own.
//!
//! Only one process writes it, and only appends: at any time it is a prefix of one version of the
//! file on the hub. Other processes may copy it without a lock. A file beside it, written before
//! the first byte, holds the version's ETag.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use gpt2_files::{is_temporary, temporary_name, temporary_prefix, write_error};

use crate::error::HubError;
use crate::transfer::digest::Digest;

const SUFFIX: &str = ".incomplete";
const ETAG_SUFFIX: &str = ".etag";
/// Age after which a partial file has no writer.
const ABANDONED: Duration = Duration::from_secs(600);

/// Partial file.
pub(crate) struct Partial<'a> {
    target: &'a Path,
    path: PathBuf,
    file: File,
    /// Number of bytes written.
    pub(crate) size: u64,
    /// Strong ETag of the version that the bytes belong to.
    pub(crate) etag: Option<String>,
}

impl<'a> Partial<'a> {
    /// Creates an empty partial file.
    pub(crate) fn create(target: &'a Path) -> Result<Self, HubError> {
        for number in 0.. {
            let path = target.with_file_name(temporary_name(target, number, SUFFIX));
            // On a shared folder, a process of another machine may have this id.
            match OpenOptions::new().read(true).write(true).create_new(true).open(&path) {
                Ok(file) => return Ok(Self { target, path, file, size: 0, etag: None }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(write_error(target)(error).into()),
            }
        }
        Err(write_error(target)(io::ErrorKind::AlreadyExists.into()).into())
    }

    /// Creates a partial file with the bytes of the longest one that other processes left. `alone`
    /// means that those processes have ended.
    pub(crate) fn continued(target: &'a Path, alone: bool) -> Result<Self, HubError> {
        let mut partial = Self::create(target)?;
        let mut others = others(target);
        others.remove(&partial.path);
        let longest = others.iter().filter(|(_, size)| **size > 0).max_by_key(|(_, size)| **size);
        if let Some((path, _)) = longest
            && partial.copy(path).is_err()
        {
            // The disk may be too small for both. Start anew, so that the download ends.
            partial.restart()?;
        }
        for path in others.into_keys() {
            if alone || is_abandoned(&path) {
                remove(&path);
            }
        }
        Ok(partial)
    }

    fn copy(&mut self, other: &Path) -> Result<(), HubError> {
        let etag = fs::read_to_string(etag_path(other)).ok().filter(|etag| is_strong(etag));
        let Ok(mut source) = File::open(other) else { return Ok(()) };
        self.set_etag(etag.as_deref())?;
        self.size = io::copy(&mut source, &mut self.file).map_err(write_error(self.target))?;
        Ok(())
    }

    /// Records the version that the next bytes belong to. The partial file must be empty.
    pub(crate) fn set_etag(&mut self, etag: Option<&str>) -> Result<(), HubError> {
        self.etag = etag.filter(|etag| is_strong(etag)).map(str::to_owned);
        match &self.etag {
            Some(etag) => {
                fs::write(etag_path(&self.path), etag).map_err(write_error(self.target))?;
                Ok(())
            }
            None => {
                let _ = fs::remove_file(etag_path(&self.path));
                Ok(())
            }
        }
    }

    /// Starts anew, under another name.
    pub(crate) fn restart(&mut self) -> Result<(), HubError> {
        let fresh = Self::create(self.target)?;
        std::mem::replace(self, fresh).remove();
        Ok(())
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), HubError> {
        self.file.write_all(bytes).map_err(write_error(self.target))?;
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// Flushes the bytes to the disk, and checks their digests.
    ///
    /// Reads the open file: its name may be gone, if another process was faster.
    pub(crate) fn check<'d>(
        &self,
        mut digests: impl Iterator<Item = &'d Digest>,
        display: &str,
    ) -> Result<(), HubError> {
        self.file.sync_all().map_err(write_error(self.target))?;
        digests.try_for_each(|digest| digest.check_open(&self.file, &self.path, display))
    }

    /// Gives the file its name, and removes all other partial files of it. Returns false if this
    /// one is gone: another process was faster and has done the same.
    pub(crate) fn finish(self) -> Result<bool, HubError> {
        // Remove the ETag first: a process that is killed after this line leaves nothing permanent.
        let _ = fs::remove_file(etag_path(&self.path));
        match fs::rename(&self.path, self.target) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => {
                remove(&self.path);
                return Err(write_error(self.target)(error).into());
            }
        }
        others(self.target).keys().for_each(|path| remove(path));
        Ok(true)
    }

    pub(crate) fn remove(self) {
        remove(&self.path);
    }
}

impl Drop for Partial<'_> {
    /// Removes an empty partial file: it is of no use.
    fn drop(&mut self) {
        if self.size == 0 {
            remove(&self.path);
        }
    }
}

/// Total size of all partial files of a file. It grows while a process is at work.
pub(crate) fn bytes_so_far(target: &Path) -> u64 {
    others(target).values().sum()
}

/// All partial files of a file, with their sizes. Some have only their ETag left.
fn others(target: &Path) -> BTreeMap<PathBuf, u64> {
    let prefix = temporary_prefix(target);
    let mut others = BTreeMap::new();
    let Some(Ok(entries)) = target.parent().map(fs::read_dir) else { return others };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let is = |suffix| name.to_str().is_some_and(|name| is_temporary(name, &prefix, suffix));
        let size = match (is(SUFFIX), is(ETAG_SUFFIX)) {
            (true, _) => entry.metadata().map_or(0, |metadata| metadata.len()),
            (_, true) => 0,
            _ => continue,
        };
        *others.entry(entry.path().with_extension(&SUFFIX[1..])).or_default() += size;
    }
    others
}

fn is_abandoned(path: &Path) -> bool {
    let age = path
        .metadata()
        .and_then(|metadata| metadata.modified())
        .map(|modified| SystemTime::now().duration_since(modified).unwrap_or_default());
    age.is_ok_and(|age| age > ABANDONED)
}

fn remove(path: &Path) {
    // Failing to remove a file is harmless: it only takes space.
    let _ = fs::remove_file(path);
    let _ = fs::remove_file(etag_path(path));
}

fn etag_path(partial: &Path) -> PathBuf {
    partial.with_extension(&ETAG_SUFFIX[1..])
}

/// Whether an ETag is strong: it promises the same bytes, not only the same meaning.
fn is_strong(etag: &str) -> bool {
    let inner = etag.strip_prefix('"').and_then(|etag| etag.strip_suffix('"'));
    etag.len() <= 256
        && inner
            .is_some_and(|inner| inner.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_copied_is_begun_anew_and_empty_ones_do_not_stay() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("file");
        let names = || {
            let entries = fs::read_dir(folder.path()).unwrap();
            entries
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect::<Vec<_>>()
        };
        // Reading a folder as a file fails.
        let other = folder.path().join(".file.1-0.incomplete");
        fs::create_dir(&other).unwrap();
        fs::write(other.join("x"), "x").unwrap();
        let mut partial = Partial::continued(&target, true).unwrap();
        assert_eq!((partial.size, names().len()), (0, 2));
        fs::remove_dir_all(&other).unwrap();
        partial.append(b"some").unwrap();
        drop(partial);
        let continued = Partial::continued(&target, true).unwrap();
        assert_eq!((continued.size, names().len()), (4, 1));
        continued.remove();
        drop(Partial::create(&target).unwrap());
        assert_eq!(names(), [""; 0]);
    }
}
