//! The file that `Corpus::tokenize` writes: a header that identifies the source of the ids, then
//! the ids.

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};

use gpt2_tokenizer::TokenId;

/// Begins with 65535, an id that only the largest 16-bit vocabulary has.
const MAGIC: [u8; 8] = *b"\xff\xffGPT2TK";
const VERSION: u32 = 1;

/// Little-endian header before the ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CacheHeader {
    /// Bytes of an id: 2 or 4.
    pub(crate) width: u32,
    /// Number of ids.
    pub(crate) tokens: u64,
    /// Fingerprint of the tokenizer.
    pub(crate) tokenizer: u64,
    /// Fingerprint of the files and of the options for tokenizing.
    pub(crate) corpus: u64,
}

impl CacheHeader {
    /// Length of the header in bytes.
    pub(crate) const SIZE: usize = 40;

    pub(crate) fn encode(&self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.width.to_le_bytes());
        for (index, number) in [self.tokens, self.tokenizer, self.corpus].into_iter().enumerate() {
            bytes[16 + 8 * index..][..8].copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    /// Whether a file with this beginning has this format.
    pub(crate) fn is_announced(start: &[u8]) -> bool {
        start.starts_with(&MAGIC)
    }

    /// Returns the header, or its version if that is unknown.
    pub(crate) fn decode(bytes: &[u8; Self::SIZE]) -> Result<Self, u32> {
        let (halves, _) = bytes.as_chunks::<4>();
        let (numbers, _) = bytes.as_chunks::<8>();
        let [version, width] = [halves[2], halves[3]].map(u32::from_le_bytes);
        let [tokens, tokenizer, corpus] =
            [numbers[2], numbers[3], numbers[4]].map(u64::from_le_bytes);
        if version == VERSION {
            Ok(Self { width, tokens, tokenizer, corpus })
        } else {
            Err(version)
        }
    }
}

/// Writes ids incrementally, and the header at the end.
pub(crate) struct CacheWriter<'a> {
    file: BufWriter<&'a mut File>,
    header: CacheHeader,
}

impl<'a> CacheWriter<'a> {
    /// Starts an empty file. `header.tokens` is ignored: the writer counts the ids.
    pub(crate) fn new(file: &'a mut File, header: CacheHeader) -> io::Result<Self> {
        let mut file = BufWriter::new(file);
        file.write_all(&[0; CacheHeader::SIZE])?;
        Ok(Self { file, header: CacheHeader { tokens: 0, ..header } })
    }

    /// Appends ids, all of which must fit the width.
    pub(crate) fn write(&mut self, ids: &[TokenId]) -> io::Result<()> {
        for id in ids {
            self.file.write_all(&id.to_le_bytes()[..self.header.width as usize])?;
        }
        self.header.tokens += ids.len() as u64;
        Ok(())
    }

    /// Writes the header and returns the number of ids.
    pub(crate) fn finish(mut self) -> io::Result<u64> {
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&self.header.encode())?;
        self.file.flush()?;
        Ok(self.header.tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_comes_back_and_another_version_does_not() {
        let header = CacheHeader { width: 4, tokens: 5, tokenizer: u64::MAX, corpus: 6 };
        let mut bytes = header.encode();
        assert!(CacheHeader::is_announced(&bytes));
        assert_eq!(CacheHeader::decode(&bytes), Ok(header));
        bytes[8] = 2;
        assert_eq!(CacheHeader::decode(&bytes), Err(2));
    }
}
