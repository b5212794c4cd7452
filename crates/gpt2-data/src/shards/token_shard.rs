//! `TokenShard`: one file of token ids.
//!
//! Windows are read directly from the file; the operating system caches the pages in use.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use gpt2_files::{read_error, regular_file};
use gpt2_task::Fingerprint;
use gpt2_tokenizer::TokenId;

use crate::error::DataError;
use crate::shards::shard_layout::ShardLayout;

/// Bytes at each end that the fingerprint covers.
const SAMPLE: u64 = 64 * 1024;

/// Open file of token ids.
#[derive(Debug)]
pub(crate) struct TokenShard {
    path: PathBuf,
    /// Locked during a read: a file has only one read position.
    file: Mutex<File>,
    layout: ShardLayout,
}

impl TokenShard {
    /// Opens a regular file, and checks its header, if any, against its size.
    pub(crate) fn open(path: &Path) -> Result<Self, DataError> {
        let size = regular_file(path)?.len();
        let mut file = File::open(path).map_err(read_error(path))?;
        let mut beginning = Vec::new();
        let read = (&mut file).take(ShardLayout::BEGINNING as u64).read_to_end(&mut beginning);
        read.map_err(read_error(path))?;
        let layout = ShardLayout::of(path, &beginning, size)?;
        Ok(Self { path: path.into(), file: Mutex::new(file), layout })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Number of ids.
    pub(crate) fn tokens(&self) -> u64 {
        self.layout.tokens
    }

    /// Reads ids from `position` on.
    pub(crate) fn read(&self, position: u64, ids: &mut [TokenId]) -> Result<(), DataError> {
        let ShardLayout { start, width, .. } = self.layout;
        let mut bytes = vec![0; ids.len() * width as usize];
        let read = self.read_bytes(start + position * width, &mut bytes);
        read.map_err(read_error(&self.path))?;
        if width == 2 {
            let (words, _) = bytes.as_chunks::<2>();
            ids.iter_mut().zip(words).for_each(|(id, &word)| *id = u16::from_le_bytes(word).into());
        } else {
            let (words, _) = bytes.as_chunks::<4>();
            ids.iter_mut().zip(words).for_each(|(id, &word)| *id = u32::from_le_bytes(word));
        }
        Ok(())
    }

    /// Adds the number of ids, their width, and the ids at both ends to a fingerprint.
    pub(crate) fn add_to(&self, fingerprint: Fingerprint) -> Result<Fingerprint, DataError> {
        let ShardLayout { start, width, tokens } = self.layout;
        let length = SAMPLE.min(tokens * width);
        let mut sample = vec![0; length as usize];
        let mut fingerprint = fingerprint.with_number(width).with_number(tokens);
        for offset in [start, start + tokens * width - length] {
            self.read_bytes(offset, &mut sample).map_err(read_error(&self.path))?;
            fingerprint = fingerprint.with(&sample);
        }
        Ok(fingerprint)
    }

    fn read_bytes(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        // A panic elsewhere can only have moved the read position, which is set before each use.
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(bytes)
    }
}

#[cfg(test)]
mod tests {
    use crate::shards::token_cache::CacheHeader;

    use super::*;

    fn open(bytes: &[u8]) -> Result<TokenShard, DataError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("train.bin");
        std::fs::write(&path, bytes).unwrap();
        TokenShard::open(&path)
    }

    fn ids_of(shard: &TokenShard) -> Vec<TokenId> {
        let mut ids = vec![0; shard.tokens() as usize];
        shard.read(0, &mut ids).unwrap();
        ids
    }

    /// llm.c's header, followed by `ids`.
    fn llm_c(header: [u32; 3], ids: &[u16]) -> Vec<u8> {
        let mut bytes: Vec<u8> = header.into_iter().flat_map(u32::to_le_bytes).collect();
        bytes.resize(1024, 0);
        bytes.extend(ids.iter().flat_map(|id| id.to_le_bytes()));
        bytes
    }

    fn cache(header: CacheHeader, ids: &[u8]) -> Vec<u8> {
        [&header.encode(), ids].concat()
    }

    const CACHE: CacheHeader = CacheHeader { width: 4, tokens: 2, tokenizer: 1, corpus: 2 };

    #[test]
    fn each_format_is_known_by_its_content() {
        let nano_gpt = [7u16, 50256, 0, 258].map(u16::to_le_bytes).concat();
        assert_eq!(ids_of(&open(&nano_gpt).unwrap()), [7, 50256, 0, 258]);
        let llm_c = llm_c([20_240_520, 1, 3], &[50256, 1, 2]);
        assert_eq!(ids_of(&open(&llm_c).unwrap()), [50256, 1, 2]);
        let wide = cache(CACHE, &[1, 0, 1, 0, 2, 0, 0, 0]);
        assert_eq!(ids_of(&open(&wide).unwrap()), [65537, 2]);
        let narrow = cache(CacheHeader { width: 2, ..CACHE }, &[1, 2, 3, 0]);
        assert_eq!(ids_of(&open(&narrow).unwrap()), [513, 3]);
    }

    #[test]
    fn reading_begins_anywhere() {
        let shard = open(&llm_c([20_240_520, 1, 5], &[10, 11, 12, 13, 14])).unwrap();
        let mut ids = [0; 2];
        shard.read(3, &mut ids).unwrap();
        assert_eq!(ids, [13, 14]);
        shard.read(1, &mut ids).unwrap();
        assert_eq!(ids, [11, 12]);
    }

    #[test]
    fn truncated_and_lying_files_are_refused() {
        let cases: [(Vec<u8>, &str); 11] = [
            (vec![], "size in bytes must be a multiple of 2, and not 0"),
            (vec![1, 2, 3], "found 3;"),
            (llm_c([20_240_520, 1, 3], &[])[..1000].to_vec(), "size in bytes"),
            (
                llm_c([20_240_520, 1, 3], &[1, 2]),
                "must be 2 (as its size says), and not 0, found 3",
            ),
            (
                llm_c([20_240_520, 1, 1], &[1, 2]),
                "must be 2 (as its size says), and not 0, found 1",
            ),
            (llm_c([20_240_520, 1, 0], &[]), "found 0;"),
            (llm_c([20_240_520, 2, 1], &[1]), "version must be 1, found 2"),
            (llm_c([20_240_801, 7, 1], &[1, 0]), "magic number must be 20240520 (GPT-2)"),
            (cache(CACHE, &[])[..39].to_vec(), "size in bytes"),
            (cache(CacheHeader { tokens: u64::MAX, ..CACHE }, &[0; 8]), "number of tokens"),
            (cache(CacheHeader { width: 3, ..CACHE }, &[0; 6]), "width of an id must be 2 or 4"),
        ];
        for (bytes, expected) in cases {
            let message = open(&bytes).unwrap_err().to_string();
            assert!(message.contains(expected) && message.contains("train.bin"), "{message}");
        }
    }

    #[test]
    fn the_fingerprint_is_the_same_in_every_version() {
        let shard = open(&[0u16, 1, 2, 3, 4].map(u16::to_le_bytes).concat()).unwrap();
        let found = shard.add_to(Fingerprint::new()).unwrap().finish();
        // FNV-1a of 2, 5, and twice 10 with the ids, all little-endian, computed by another
        // program.
        assert_eq!(found, 0x6d3d_b5f8_48a4_bb12);
    }

    #[test]
    fn the_fingerprint_sees_both_ends_and_the_length() {
        let of = |ids: &[u16]| {
            let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
            open(&bytes).unwrap().add_to(Fingerprint::new()).unwrap().finish()
        };
        let ids = vec![1; 50_000];
        let changed = |index: usize| {
            let mut ids = ids.clone();
            ids[index] = 2;
            ids
        };
        assert_eq!(of(&ids), of(&ids.clone()));
        for other in [changed(0), changed(49_999), ids[1..].to_vec()] {
            assert_ne!(of(&ids), of(&other));
        }
    }
}
