//! File for an upload, read in parts.

use std::cell::OnceCell;
use std::fs::{self, File, Metadata};
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use gpt2_files::read_error;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::error::HubError;
use crate::transfer::digest::hash_rest;

/// File for an upload to a hub.
///
/// [`files_to_upload`](crate::files_to_upload) makes those of files on the disk.
///
/// ```
/// use gpt2_hub::UploadFile;
///
/// let file = UploadFile::in_memory("notes/first.txt", "Hello");
/// assert_eq!((file.name(), file.size()), ("notes/first.txt", 5));
/// assert_eq!(file.read(4)?, b"Hell");
/// # Ok::<(), gpt2_hub::HubError>(())
/// ```
#[derive(Debug, Clone)]
pub struct UploadFile {
    pub(crate) name: String,
    /// Size in bytes.
    pub(crate) size: u64,
    content: Content,
    /// Modification time. None if the system does not know it.
    modified: Option<SystemTime>,
    sha256: OnceCell<String>,
}

#[derive(Debug, Clone)]
enum Content {
    OnDisk(PathBuf),
    /// Content in memory, which is never written to the user's folder.
    InMemory(Vec<u8>),
}

/// Reader of some bytes of a file. It fails if the file has become shorter.
pub(crate) struct Part {
    reader: Box<dyn ReadSeek>,
    left: u64,
}

impl UploadFile {
    pub(crate) fn on_disk(name: String, path: PathBuf, metadata: &Metadata) -> Self {
        let (size, modified) = (metadata.len(), metadata.modified().ok());
        Self { name, size, content: Content::OnDisk(path), modified, sha256: OnceCell::new() }
    }

    /// File that exists in memory only. `name` is its path in the repository, with `/` between
    /// folders.
    pub fn in_memory(name: &str, content: impl Into<Vec<u8>>) -> Self {
        let bytes = content.into();
        let (name, size, content) = (name.to_owned(), bytes.len() as u64, Content::InMemory(bytes));
        Self { name, size, content, modified: None, sha256: OnceCell::new() }
    }

    /// Path in the repository, with `/` between folders.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Path in messages.
    pub(crate) fn path(&self) -> &Path {
        match &self.content {
            Content::OnDisk(path) => path,
            Content::InMemory(_) => Path::new(&self.name),
        }
    }

    /// Modification time in seconds since 1970.
    pub(crate) fn modified(&self) -> Option<u64> {
        Some(self.modified?.duration_since(UNIX_EPOCH).ok()?.as_secs())
    }

    /// Fails if the file has changed since it was listed.
    pub(crate) fn check_unchanged(&self) -> Result<(), HubError> {
        let Content::OnDisk(path) = &self.content else { return Ok(()) };
        let same = |it: Metadata| it.len() == self.size && it.modified().ok() == self.modified;
        if fs::metadata(path).is_ok_and(same) {
            Ok(())
        } else {
            Err(HubError::ChangedDuringUpload { path: path.clone() })
        }
    }

    /// Reader of `length` bytes from `start` on.
    pub(crate) fn part(&self, start: u64, length: u64) -> io::Result<Part> {
        let mut reader: Box<dyn ReadSeek> = match &self.content {
            Content::OnDisk(path) => Box::new(File::open(path)?),
            Content::InMemory(bytes) => Box::new(Cursor::new(bytes.clone())),
        };
        reader.seek(SeekFrom::Start(start))?;
        Ok(Part { reader, left: length })
    }

    /// Reads the first `length` bytes, or fewer if the file is shorter.
    ///
    /// # Errors
    ///
    /// [`HubError::File`], and [`HubError::ChangedDuringUpload`] for a file that has become
    /// shorter.
    pub fn read(&self, length: u64) -> Result<Vec<u8>, HubError> {
        let length = length.min(self.size);
        let mut bytes = Vec::new();
        let mut part = self.part(0, length).map_err(read_error(self.path()))?;
        part.read_to_end(&mut bytes).map_err(|error| self.changed(error))?;
        Ok(bytes)
    }

    /// SHA-256 in hexadecimal digits, computed once.
    pub(crate) fn sha256(&self) -> Result<&str, HubError> {
        if self.sha256.get().is_none() {
            let digest = self.digest(Sha256::new())?;
            let _ = self.sha256.set(digest);
        }
        Ok(self.sha256.get().map_or("", String::as_str))
    }

    /// Name of the content in git: SHA-1 of `blob SIZE\0` and the content.
    pub(crate) fn git_sha1(&self) -> Result<String, HubError> {
        self.digest(Sha1::new_with_prefix(format!("blob {}\0", self.size)))
    }

    fn digest(&self, hasher: impl Digest) -> Result<String, HubError> {
        let part = self.part(0, self.size).map_err(read_error(self.path()))?;
        hash_rest(part, hasher).map_err(|error| self.changed(error))
    }

    fn changed(&self, error: io::Error) -> HubError {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                HubError::ChangedDuringUpload { path: self.path().into() }
            }
            _ => read_error(self.path())(error).into(),
        }
    }
}

impl Read for Part {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let count = self.reader.read(&mut buffer[..length])?;
        if count == 0 && length > 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the file has become shorter",
            ));
        }
        self.left -= count as u64;
        Ok(count)
    }
}

trait ReadSeek: Read + Seek {}
impl<T: Read + Seek> ReadSeek for T {}
