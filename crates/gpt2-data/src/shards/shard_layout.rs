//! `ShardLayout`: position and width of the ids in a file, for each of the three formats.

use std::path::Path;

use crate::error::DataError;
use crate::shards::token_cache::CacheHeader;

/// First number of a file that llm.c's `dev/data` scripts write.
const LLM_C_MAGIC: u32 = 20_240_520;
/// First number of llm.c's files with Llama 3's tokens, in 32 bits.
const LLM_C_LLAMA_MAGIC: u32 = 20_240_801;
/// Bytes of llm.c's header: 256 numbers of 32 bits.
const LLM_C_HEADER: u64 = 1024;

/// Position and width of the ids in a file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ShardLayout {
    /// Offset in bytes of the first id.
    pub(crate) start: u64,
    /// Bytes of an id: 2 or 4.
    pub(crate) width: u64,
    /// Number of ids.
    pub(crate) tokens: u64,
}

impl ShardLayout {
    /// Number of leading bytes that tell a file's format.
    pub(crate) const BEGINNING: usize = CacheHeader::SIZE;

    /// Layout of a file of `size` bytes that starts with `beginning`.
    ///
    /// # Errors
    ///
    /// [`DataError::InvalidShard`] for a header that contradicts the size.
    pub(crate) fn of(path: &Path, beginning: &[u8], size: u64) -> Result<Self, DataError> {
        if CacheHeader::is_announced(beginning) {
            return Self::of_cache(path, beginning, size);
        }
        let first = beginning.first_chunk().map(|&bytes| u32::from_le_bytes(bytes));
        if matches!(first, Some(LLM_C_MAGIC | LLM_C_LLAMA_MAGIC)) {
            return Self::of_llm_c(path, beginning, size);
        }
        if size == 0 || !size.is_multiple_of(2) {
            let expected = "a multiple of 2, and not 0 (ids of 16 bits)".to_owned();
            return Err(invalid(path, "size in bytes", expected, size));
        }
        Ok(Self { start: 0, width: 2, tokens: size / 2 })
    }

    fn of_cache(path: &Path, beginning: &[u8], size: u64) -> Result<Self, DataError> {
        let Some(bytes) = beginning.first_chunk() else { return Err(too_short(path, size)) };
        let header = CacheHeader::decode(bytes)
            .map_err(|version| invalid(path, "version", "1".to_owned(), version.into()))?;
        if !matches!(header.width, 2 | 4) {
            return Err(invalid(path, "width of an id", "2 or 4".to_owned(), header.width.into()));
        }
        let (start, width) = (CacheHeader::SIZE as u64, header.width.into());
        Self { start, width, tokens: header.tokens }.checked(path, size)
    }

    fn of_llm_c(path: &Path, beginning: &[u8], size: u64) -> Result<Self, DataError> {
        if size < LLM_C_HEADER {
            return Err(too_short(path, size));
        }
        let (numbers, _) = beginning.as_chunks::<4>();
        let [magic, version, tokens] = [0, 1, 2].map(|index| u32::from_le_bytes(numbers[index]));
        if magic != LLM_C_MAGIC {
            let expected = format!("{LLM_C_MAGIC} (GPT-2)");
            return Err(invalid(path, "magic number", expected, magic.into()));
        }
        if version != 1 {
            return Err(invalid(path, "version", "1".to_owned(), version.into()));
        }
        Self { start: LLM_C_HEADER, width: 2, tokens: tokens.into() }.checked(path, size)
    }

    /// Compares the number of ids in a header with the file's size.
    fn checked(self, path: &Path, size: u64) -> Result<Self, DataError> {
        let Self { start, width, tokens } = self;
        let expected = tokens.checked_mul(width).and_then(|bytes| bytes.checked_add(start));
        if tokens == 0 || expected != Some(size) {
            let expected = format!("{} (as its size says), and not 0", (size - start) / width);
            return Err(invalid(path, "number of tokens in the header", expected, tokens));
        }
        Ok(self)
    }
}

fn too_short(path: &Path, size: u64) -> DataError {
    invalid(path, "size in bytes", "that of its header at least".to_owned(), size)
}

fn invalid(path: &Path, field: &'static str, expected: String, found: u64) -> DataError {
    DataError::InvalidShard { path: path.into(), field, expected, found }
}
