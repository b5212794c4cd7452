//! What a command writes: under another name until it is whole.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use gpt2_presets::Preset;

/// How the name of a folder ends in which something is written.
const PARTIAL_SUFFIX: &str = ".partial";
/// How the name of a folder ends in which something waits that is being replaced.
const OLD_SUFFIX: &str = ".old";

/// The name that a command's result is going to have.
#[derive(Clone, Copy)]
pub struct Destination<'a> {
    path: &'a Path,
    /// Whether what has the name may be replaced.
    force: bool,
}

/// A file or a folder of the destination's name, in a folder beside it that is removed.
pub struct Staged<'a> {
    destination: Destination<'a>,
    folder: PathBuf,
    path: PathBuf,
    /// The folder, locked while it is in use, where the system can lock one.
    _lock: Option<File>,
}

impl<'a> Destination<'a> {
    /// Refuses a path that must not be written to. Nothing is created.
    pub fn new(path: &'a Path, force: bool) -> anyhow::Result<Self> {
        ensure!(path.file_name().is_some(), "the destination must be a name, not `.` or `/`");
        let destination = Self { path, force };
        destination.check()?;
        Ok(destination)
    }

    /// Refuses what exists, except with `force`, and a folder in any case if it is neither empty
    /// nor a preset.
    fn check(self) -> anyhow::Result<()> {
        let Ok(metadata) = self.path.symlink_metadata() else { return Ok(()) };
        let path = self.path.display();
        ensure!(self.force, "{path} exists already; pass --force to replace it");
        ensure!(
            !metadata.is_dir() || is_empty(self.path) || is_preset(self.path),
            "{path} is a folder that holds something else than a preset of GPT-2, so --force does \
             not replace it; remove it yourself, or choose another destination"
        );
        Ok(())
    }

    /// A place to write to, in a new folder beside the destination.
    ///
    /// A process that is killed leaves its folder behind; it is removed here.
    pub fn stage(self) -> anyhow::Result<Staged<'a>> {
        let parent = self.parent();
        fs::create_dir_all(parent).with_context(|| format!("creating {}", parent.display()))?;
        self.remove_abandoned();
        loop {
            let folder = self.create_beside(PARTIAL_SUFFIX)?;
            // Another process may take the folder for an abandoned one until it is locked: this
            // waits until that has removed it.
            let lock = File::open(&folder).ok().filter(|folder| folder.lock().is_ok());
            if folder.is_dir() {
                let path = folder.join(self.path.file_name().unwrap_or_default());
                return Ok(Staged { destination: self, folder, path, _lock: lock });
            }
        }
    }

    /// Removes the folders of this destination which nobody has locked.
    fn remove_abandoned(self) {
        let Ok(entries) = fs::read_dir(self.parent()) else { return };
        let prefix = self.prefix();
        for entry in entries.flatten() {
            let name = entry.file_name();
            let numbers = name.to_str().and_then(|name| {
                name.strip_prefix(&prefix)?.strip_suffix(PARTIAL_SUFFIX)?.split_once('-')
            });
            let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
            let is_ours = numbers
                .is_some_and(|(process, number)| digits(process) && digits(number))
                && entry.file_type().is_ok_and(|kind| kind.is_dir());
            if !is_ours {
                continue;
            }
            // Where any of that fails the folder stays, which is the lesser fault.
            if let Ok(folder) = File::open(entry.path())
                && folder.try_lock().is_ok()
            {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }

    /// Creates a folder beside the destination, so that a rename suffices, of a new name.
    fn create_beside(self, suffix: &str) -> anyhow::Result<PathBuf> {
        let mut number = 0;
        loop {
            let name = format!("{}{}-{number}{suffix}", self.prefix(), std::process::id());
            let folder = self.path.with_file_name(name);
            match fs::create_dir(&folder) {
                Ok(()) => return Ok(folder),
                // An earlier process had the same number, or it is another thread's.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
                Err(error) => {
                    return Err(error).with_context(|| format!("creating {}", folder.display()));
                }
            }
        }
    }

    fn prefix(self) -> String {
        format!(".{}.", self.path.file_name().unwrap_or_default().to_string_lossy())
    }

    fn parent(self) -> &'a Path {
        // A bare name has an empty parent.
        let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        parent.unwrap_or(Path::new("."))
    }
}

impl Staged<'_> {
    /// Where to write. Nothing is there yet.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Renames what was written. A file replaces a file in one step; else what had the name before
    /// is moved aside, and removed last.
    pub fn commit(self) -> anyhow::Result<()> {
        // It may have come to be in the meantime.
        self.destination.check()?;
        let path = self.destination.path;
        let put =
            || fs::rename(&self.path, path).with_context(|| format!("naming {}", path.display()));
        let is_folder = |path: &Path| path.symlink_metadata().is_ok_and(|found| found.is_dir());
        let exists = path.symlink_metadata().is_ok();
        if !exists || !is_folder(path) && !is_folder(&self.path) {
            return put();
        }
        let folder = self.destination.create_beside(OLD_SUFFIX)?;
        let old = folder.join(path.file_name().unwrap_or_default());
        let moved = fs::rename(path, &old)
            .with_context(|| format!("moving {} aside", path.display()))
            .and_then(|()| {
                put().or_else(|error| {
                    fs::rename(&old, path)
                        .with_context(|| {
                            format!("{error:#}; moving it back from {}", old.display())
                        })
                        .and(Err(error))
                })
            });
        if let Err(error) = moved {
            // It is not empty if the old one could not be moved back: then it stays.
            let _ = fs::remove_dir(&folder);
            return Err(error);
        }
        fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))
    }
}

impl Drop for Staged<'_> {
    fn drop(&mut self) {
        // Where that fails, the next process that writes there removes it.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}

/// Whether a folder holds a preset with a config. One with a GGUF file might hold all downloads.
fn is_preset(folder: &Path) -> bool {
    // An absolute path is never the name of a built-in preset.
    let path = std::path::absolute(folder);
    folder.join("config.json").is_file()
        && path.is_ok_and(|path| path.to_str().is_some_and(|path| Preset::open(path).is_ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_folder_of_the_same_process_id_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new");
        let destination = Destination::new(&path, false).unwrap();
        let one = destination.stage().unwrap();
        fs::create_dir(one.path()).unwrap();
        let other = destination.stage().unwrap();
        assert_ne!(one.path(), other.path());
        assert!(!other.path().exists());
        assert!(one.path().exists(), "it is in use");
        drop((one, other));
        assert!(is_empty(folder.path()));
    }

    #[test]
    fn the_old_folder_is_back_if_the_new_one_cannot_be_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("preset");
        fs::create_dir(&path).unwrap();
        // Nothing is written, so that there is nothing to rename.
        let staged = Destination::new(&path, true).unwrap().stage().unwrap();
        assert!(staged.commit().unwrap_err().to_string().contains("naming"));
        assert!(path.is_dir());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_came_to_be_meanwhile_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let staged = Destination::new(&path, false).unwrap().stage().unwrap();
        fs::write(staged.path(), "new").unwrap();
        fs::write(&path, "mine").unwrap();
        assert!(staged.commit().unwrap_err().to_string().contains("--force"));
        assert_eq!(fs::read(&path).unwrap(), b"mine");
    }
}
