//! Forward reader of the bytes before the tensors. It allocates nothing for bytes that the file
//! lacks.

use std::ops::Range;
use std::path::Path;

use gpt2_files::read_error;

use crate::error::PresetError;
use crate::file_kind::FileKind;
use crate::source::blob::Blob;

/// Kind of file, for messages.
pub(crate) const GGUF: FileKind =
    FileKind { name: "GGUF file", remedy: "download or convert it again" };

/// Maximum length of a header in bytes. GPT-2's vocabulary and merges have two megabytes.
const MAX_HEADER: u64 = 64 * 1024 * 1024;
/// Maximum length of a name in bytes: the format's own limit for keys.
const MAX_NAME: usize = 65_535;
/// Minimum number of bytes to read at once.
const PIECE: usize = 64 * 1024;

/// Position in a header.
pub(crate) struct Cursor<'a> {
    blob: &'a mut Blob,
    /// Name of the file in messages.
    file: &'a str,
    /// Size of the file, or the maximum length of a header.
    limit: u64,
    /// Bytes read so far, a little more than were taken.
    bytes: Vec<u8>,
    position: usize,
}

impl<'a> Cursor<'a> {
    /// Start of a file of `size` bytes.
    pub(crate) fn new(blob: &'a mut Blob, size: u64, file: &'a str) -> Self {
        Self { blob, file, limit: size.min(MAX_HEADER), bytes: Vec::new(), position: 0 }
    }

    /// Takes `count` values of `size` bytes; `field` names them in messages.
    pub(crate) fn take(
        &mut self,
        count: u64,
        size: u64,
        field: &str,
    ) -> Result<Range<usize>, PresetError> {
        let start = self.position;
        let rest = self.limit - start as u64;
        let Some(bytes) = count.checked_mul(size).filter(|bytes| *bytes <= rest) else {
            let detail = format!(
                "expected {count} times {size} bytes from byte {start} on, found {rest} (a header \
                 may have {MAX_HEADER})"
            );
            return Err(self.invalid(field, detail));
        };
        // At most the limit, which fits a `usize`.
        let end = start + bytes as usize;
        self.fill(end)?;
        self.position = end;
        Ok(start..end)
    }

    /// Reads at least up to `end`, in pieces of growing size, so that no byte is copied often.
    fn fill(&mut self, end: usize) -> Result<(), PresetError> {
        let start = self.bytes.len();
        if end <= start {
            return Ok(());
        }
        let wanted = end.max(start + PIECE.max(start / 4)).min(self.limit as usize);
        self.bytes.reserve_exact(wanted - start);
        self.bytes.resize(wanted, 0);
        let read = self.blob.read_at(start as u64, &mut self.bytes[start..]);
        Ok(read.map_err(read_error(Path::new(self.file)))?)
    }

    /// Takes an array of bytes.
    pub(crate) fn array<const N: usize>(&mut self, field: &str) -> Result<[u8; N], PresetError> {
        let range = self.take(N as u64, 1, field)?;
        Ok(self.bytes[range].try_into().expect("as many as were taken"))
    }

    pub(crate) fn u32(&mut self, field: &str) -> Result<u32, PresetError> {
        self.array(field).map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self, field: &str) -> Result<u64, PresetError> {
        self.array(field).map(u64::from_le_bytes)
    }

    /// Takes a string, whose length precedes it.
    pub(crate) fn string(&mut self, field: &str) -> Result<Range<usize>, PresetError> {
        let length = self.u64(field)?;
        self.take(length, 1, field)
    }

    /// Takes a name, as a string of its own.
    pub(crate) fn name(&mut self, field: &str) -> Result<String, PresetError> {
        let range = self.string(field)?;
        if range.len() > MAX_NAME {
            let detail = format!("expected at most {MAX_NAME} bytes, found {}", range.len());
            return Err(self.invalid(field, detail));
        }
        let text = std::str::from_utf8(&self.bytes[range]);
        text.map(str::to_owned).map_err(|error| {
            self.invalid(field, format!("invalid UTF-8 at byte {}", error.valid_up_to()))
        })
    }

    /// Number of bytes taken.
    pub(crate) fn position(&self) -> u64 {
        self.position as u64
    }

    /// All bytes taken.
    pub(crate) fn into_bytes(mut self) -> Vec<u8> {
        self.bytes.truncate(self.position);
        self.bytes
    }

    pub(crate) fn invalid(&self, field: &str, detail: String) -> PresetError {
        GGUF.malformed(self.file, field, detail)
    }
}
