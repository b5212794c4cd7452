//! Upload stage 1, in part: a file to be uploaded, read in parts.

use std::cell::OnceCell;
use std::fs::{self, File, Metadata};
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::PresetError;
use crate::hub::digest::hash_rest;
use gpt2_files::read_error;

/// A file on its way to a hub.
#[derive(Debug, Clone)]
pub(crate) struct UploadFile {
    /// Its path in the repository, with `/` between folders.
    pub(crate) name: String,
    /// In bytes.
    pub(crate) size: u64,
    content: Content,
    /// Of the last change, where the system says.
    modified: Option<SystemTime>,
    sha256: OnceCell<String>,
}

#[derive(Debug, Clone)]
enum Content {
    OnDisk(PathBuf),
    /// Generated, and never written to the user's folder.
    InMemory(Vec<u8>),
}

/// Bytes of a file. It is an error that there are fewer than there were.
pub(crate) struct Part {
    reader: Box<dyn ReadSeek>,
    left: u64,
}

impl UploadFile {
    pub(crate) fn on_disk(name: String, path: PathBuf, metadata: &Metadata) -> Self {
        let (size, modified) = (metadata.len(), metadata.modified().ok());
        Self { name, size, content: Content::OnDisk(path), modified, sha256: OnceCell::new() }
    }

    pub(crate) fn in_memory(name: &str, text: String) -> Self {
        let (name, size) = (name.to_owned(), text.len() as u64);
        let content = Content::InMemory(text.into_bytes());
        Self { name, size, content, modified: None, sha256: OnceCell::new() }
    }

    /// What messages call it.
    pub(crate) fn path(&self) -> &Path {
        match &self.content {
            Content::OnDisk(path) => path,
            Content::InMemory(_) => Path::new(&self.name),
        }
    }

    /// Seconds since 1970 of the last change.
    pub(crate) fn modified(&self) -> Option<u64> {
        Some(self.modified?.duration_since(UNIX_EPOCH).ok()?.as_secs())
    }

    /// An error if the file is not what it was when it was listed.
    pub(crate) fn check_unchanged(&self) -> Result<(), PresetError> {
        let Content::OnDisk(path) = &self.content else { return Ok(()) };
        let same = |it: Metadata| it.len() == self.size && it.modified().ok() == self.modified;
        if fs::metadata(path).is_ok_and(same) {
            Ok(())
        } else {
            Err(PresetError::ChangedDuringUpload { path: path.clone() })
        }
    }

    /// `length` bytes from `start` on.
    pub(crate) fn part(&self, start: u64, length: u64) -> io::Result<Part> {
        let mut reader: Box<dyn ReadSeek> = match &self.content {
            Content::OnDisk(path) => Box::new(File::open(path)?),
            Content::InMemory(bytes) => Box::new(Cursor::new(bytes.clone())),
        };
        reader.seek(SeekFrom::Start(start))?;
        Ok(Part { reader, left: length })
    }

    /// Its first bytes, at most `length` of them.
    pub(crate) fn read(&self, length: u64) -> Result<Vec<u8>, PresetError> {
        let length = length.min(self.size);
        let mut bytes = Vec::new();
        let mut part = self.part(0, length).map_err(read_error(self.path()))?;
        part.read_to_end(&mut bytes).map_err(|error| self.changed(error))?;
        Ok(bytes)
    }

    /// Its SHA-256 in hexadecimal digits, computed once.
    pub(crate) fn sha256(&self) -> Result<&str, PresetError> {
        if self.sha256.get().is_none() {
            let digest = self.digest(Sha256::new())?;
            let _ = self.sha256.set(digest);
        }
        Ok(self.sha256.get().map_or("", String::as_str))
    }

    /// As git names it: SHA-1 of `blob SIZE\0` and the content.
    pub(crate) fn git_sha1(&self) -> Result<String, PresetError> {
        self.digest(Sha1::new_with_prefix(format!("blob {}\0", self.size)))
    }

    fn digest(&self, hasher: impl Digest) -> Result<String, PresetError> {
        let part = self.part(0, self.size).map_err(read_error(self.path()))?;
        hash_rest(part, hasher).map_err(|error| self.changed(error))
    }

    fn changed(&self, error: io::Error) -> PresetError {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                PresetError::ChangedDuringUpload { path: self.path().into() }
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
