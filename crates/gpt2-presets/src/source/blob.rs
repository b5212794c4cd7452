//! Large files, which are read in parts or mapped.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use bytes::Bytes;
use gpt2_files::{FileError, read_error};
use memmap2::Mmap;

/// An open file of a preset.
#[derive(Debug)]
pub(crate) enum Blob {
    /// A file on the disk.
    File(File),
    /// Bytes in memory: bundled with this library, or unpacked from an archive.
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

    /// Shares the whole content: the memory itself, or a memory map of the file.
    pub(crate) fn share(&self) -> io::Result<Bytes> {
        match self {
            Self::File(file) => Ok(Bytes::from_owner(map(file)?)),
            Self::Memory(bytes) => Ok(bytes.clone()),
        }
    }
}

#[allow(unsafe_code, reason = "the one place: a memory map")]
fn map(file: &File) -> io::Result<Mmap> {
    // SAFETY: the map is read-only, and every bit pattern is a valid `f32`, so that nothing in this
    // process violates it. Another process may still write to or truncate the file. The
    // documentation of `LoadOptions::with_memory_map` forbids that, and says how to load without a
    // map.
    unsafe { Mmap::map(file) }
}
