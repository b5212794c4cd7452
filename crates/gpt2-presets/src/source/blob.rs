//! File that may be large, read in parts or mapped.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use bytes::Bytes;
use gpt2_files::{FileError, read_error};
use memmap2::Mmap;

/// An open file of a preset.
#[derive(Debug)]
pub(crate) enum Blob {
    /// On the disk.
    File(File),
    /// In memory: part of this library, or unpacked from an archive.
    Memory(Bytes),
}

impl Blob {
    /// Opens a file on the disk.
    pub(crate) fn open(path: &Path) -> Result<Self, FileError> {
        Ok(Self::File(File::open(path).map_err(read_error(path))?))
    }

    /// Size in bytes.
    pub(crate) fn size(&self) -> io::Result<u64> {
        match self {
            Self::File(file) => Ok(file.metadata()?.len()),
            Self::Memory(bytes) => Ok(bytes.len() as u64),
        }
    }

    /// Fills `out` with the bytes at an offset.
    pub(crate) fn read_at(&mut self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        match self {
            Self::File(file) => {
                file.seek(SeekFrom::Start(offset))?;
                file.read_exact(out)
            }
            Self::Memory(bytes) => {
                let mut rest = bytes.get(offset as usize..).unwrap_or_default();
                rest.read_exact(out)
            }
        }
    }

    /// The whole content where it lies: a memory map of a file on the disk.
    pub(crate) fn share(&self) -> io::Result<Bytes> {
        match self {
            Self::File(file) => Ok(Bytes::from_owner(map(file)?)),
            Self::Memory(bytes) => Ok(bytes.clone()),
        }
    }
}

#[allow(unsafe_code, reason = "the one place: a memory map")]
fn map(file: &File) -> io::Result<Mmap> {
    // SAFETY: the map is read only, and every bit pattern is a valid `f32`, so nothing in this
    // process breaks its promises to the compiler. What remains is another process that writes to
    // or truncates the file meanwhile; `LoadOptions::memory_map` tells the user not to do that,
    // and how to load without a map.
    unsafe { Mmap::map(file) }
}
