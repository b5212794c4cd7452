//! `TextFile`: a text file as one document, read in parts.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use gpt2_files::read_error;

use crate::documents::text_part::{FindCut, TextPart};
use crate::error::DataError;

/// Byte-order mark, which some programs put before UTF-8 text.
pub(crate) const BYTE_ORDER_MARK: char = '\u{feff}';

/// An open text file.
pub(crate) struct TextFile {
    path: PathBuf,
    file: File,
    /// Bytes of one read.
    block: usize,
    /// Number of bytes read so far.
    read: u64,
    /// Bytes that do not form a complete character yet.
    undecoded: Vec<u8>,
    /// Decoded text that no part contains yet.
    pending: String,
    /// Offset in `pending` from which the next cut is searched. There is no cut before it.
    searched: usize,
    ended: bool,
}

impl TextFile {
    /// Opens a regular file, to be read `block` bytes at a time.
    pub(crate) fn open(path: &Path, block: usize) -> Result<Self, DataError> {
        let file = File::open(path).map_err(read_error(path))?;
        let (undecoded, pending) = (Vec::new(), String::new());
        let path = path.into();
        Ok(Self { path, file, block, read: 0, undecoded, pending, searched: 0, ended: false })
    }

    /// Next part, which ends at a cut of `find_cut` or at the end of the file. A part is longer
    /// than a block only if the block has no cut.
    pub(crate) fn next_part(
        &mut self,
        find_cut: FindCut<'_>,
    ) -> Result<Option<TextPart>, DataError> {
        while !self.ended {
            if !self.read_block()? {
                self.ended = true;
                return Ok(Some(self.part(self.pending.len(), true)));
            }
            let found = find_cut(&self.pending[self.searched..]).map(|cut| self.searched + cut);
            // Whether a cut after the last character is possible depends on the next character.
            self.searched = self.pending.char_indices().next_back().map_or(0, |(last, _)| last);
            if let Some(cut) = found {
                return Ok(Some(self.part(cut, false)));
            }
        }
        Ok(None)
    }

    /// Removes a part from the pending text and returns it.
    fn part(&mut self, length: usize, ends_document: bool) -> TextPart {
        let place = self.read - (self.undecoded.len() + self.pending.len()) as u64;
        let rest = self.pending.split_off(length);
        self.searched = self.searched.saturating_sub(length);
        let text = std::mem::replace(&mut self.pending, rest);
        let at = format!("byte {place}");
        TextPart { bytes: text.len() as u64, text, ends_document, path: self.path.clone(), at }
    }

    /// Reads and decodes a block. Returns false at the end of the file.
    fn read_block(&mut self) -> Result<bool, DataError> {
        let first = self.read == 0;
        let mut block = (&mut self.file).take(self.block as u64);
        let count = block.read_to_end(&mut self.undecoded).map_err(read_error(&self.path))?;
        self.read += count as u64;
        let valid = match std::str::from_utf8(&self.undecoded) {
            Ok(text) => text.len(),
            // The block ends inside a character, but the file continues.
            Err(error) if error.error_len().is_none() && count > 0 => error.valid_up_to(),
            Err(error) => return Err(self.not_text(error.valid_up_to())),
        };
        if let Some(index) = self.undecoded[..valid].iter().position(|&byte| byte == 0) {
            return Err(self.not_text(index));
        }
        let rest = self.undecoded.split_off(valid);
        let decoded = std::mem::replace(&mut self.undecoded, rest);
        let text = String::from_utf8(decoded).expect("checked above");
        let text = if first { text.trim_start_matches(BYTE_ORDER_MARK) } else { &text };
        self.pending.push_str(text);
        Ok(count > 0)
    }

    fn not_text(&self, index: usize) -> DataError {
        let offset = self.read - (self.undecoded.len() - index) as u64;
        not_text(&self.path, offset, self.undecoded[index])
    }
}

/// Error for a zero byte, or one that is invalid in UTF-8.
pub(crate) fn not_text(path: &Path, offset: u64, byte: u8) -> DataError {
    DataError::NotText { path: path.into(), offset, byte }
}

#[cfg(test)]
mod tests {
    use gpt2_tokenizer::last_word_break;

    use super::*;

    /// Text and position of every part, and whether it is the last.
    fn parts(bytes: &[u8], block: usize) -> Result<Vec<(String, String, bool)>, DataError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.txt");
        std::fs::write(&path, bytes).unwrap();
        let mut file = TextFile::open(&path, block)?;
        let mut parts = Vec::new();
        while let Some(part) = file.next_part(&last_word_break)? {
            parts.push((part.text, part.at, part.ends_document));
        }
        Ok(parts)
    }

    #[test]
    fn parts_end_between_words_and_join_to_the_whole() {
        let part = |text: &str, at: &str, last| (text.to_owned(), at.to_owned(), last);
        let expected = [
            part("ab c", "byte 0", false),
            part(" déf", "byte 4", false),
            part(" g", "byte 9", true),
        ];
        assert_eq!(parts("ab c déf g".as_bytes(), 6).unwrap(), expected);
        let text = "字 é\n\n ab🙂cd  e f\u{3000}ghi ".repeat(5);
        for block in 1..40 {
            let parts = parts(text.as_bytes(), block).unwrap();
            assert!(parts.len() > 2, "block {block}");
            assert_eq!(parts.concat_texts(), text, "block {block}");
            assert!(
                parts.iter().rev().skip(1).all(|(text, _, last)| !last && text.len() <= block + 16)
            );
        }
    }

    trait ConcatTexts {
        fn concat_texts(&self) -> String;
    }

    impl ConcatTexts for Vec<(String, String, bool)> {
        fn concat_texts(&self) -> String {
            self.iter().map(|(text, _, _)| text.as_str()).collect()
        }
    }

    #[test]
    fn a_word_longer_than_a_block_stays_whole() {
        let parts = parts(b"abcdefghijklmnop q", 2).unwrap();
        assert_eq!(parts[0].0, "abcdefghijklmnop");
    }

    #[test]
    fn bytes_that_are_no_text_are_named_with_their_offset() {
        for block in [1, 2, 3, 100] {
            for (bytes, offset, byte) in [
                (&b"ab c\xffd"[..], 4, 0xff),
                (b"caf\xc3", 3, 0xc3),
                (b"caf\xc3 x", 3, 0xc3),
                (b"h\0i\0", 1, 0),
            ] {
                let error = parts(bytes, block).unwrap_err();
                let message = error.to_string();
                let found = match error {
                    DataError::NotText { offset, byte, .. } => (offset, byte),
                    other => panic!("{other}"),
                };
                assert_eq!(found, (offset, byte), "{message}");
            }
        }
    }

    #[test]
    fn the_remedy_suits_the_kind_of_file() {
        for (name, remedy) in [
            ("a.txt.GZ", "decompress it"),
            ("a.zst", "decompress it"),
            ("a.parquet", "export it to text or `.jsonl`"),
            ("a.txt", "convert the file to UTF-8"),
        ] {
            let message = not_text(Path::new(name), 0, 0x8b).to_string();
            assert!(message.contains(remedy), "{message}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_no_text() {
        assert_eq!(parts("\u{feff}a".as_bytes(), 100).unwrap()[0].0, "a");
    }
}
