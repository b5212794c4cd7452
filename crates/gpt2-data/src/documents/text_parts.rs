//! `TextParts`: the documents of several files, in parts.

use std::slice;

use crate::documents::corpus_file::CorpusFile;
use crate::documents::json_lines_file::JsonLinesFile;
use crate::documents::text_file::TextFile;
use crate::documents::text_part::{FindCut, TextPart};
use crate::error::DataError;

/// Iterator over the parts of documents. It ends after an error.
pub(crate) struct TextParts<'a> {
    files: slice::Iter<'a, CorpusFile>,
    text_key: &'a str,
    block: usize,
    find_cut: FindCut<'a>,
    open: Option<OpenFile>,
}

enum OpenFile {
    Text(TextFile),
    JsonLines(JsonLinesFile),
}

impl<'a> TextParts<'a> {
    /// Starts before the first file. A text file is read `block` bytes at a time and cut by
    /// `find_cut`. `text_key` is the key of the text in a JSON object.
    pub(crate) fn new(
        files: &'a [CorpusFile],
        text_key: &'a str,
        block: usize,
        find_cut: FindCut<'a>,
    ) -> Self {
        Self { files: files.iter(), text_key, block, find_cut, open: None }
    }

    /// Opens the next file. Returns false after the last.
    fn open_next(&mut self) -> Result<bool, DataError> {
        let Some(file) = self.files.next() else { return Ok(false) };
        self.open = Some(if file.has_json_lines() {
            OpenFile::JsonLines(JsonLinesFile::open(&file.path, self.text_key)?)
        } else {
            OpenFile::Text(TextFile::open(&file.path, self.block)?)
        });
        Ok(true)
    }

    fn next_part(&mut self) -> Result<Option<TextPart>, DataError> {
        loop {
            let part = match &mut self.open {
                Some(OpenFile::Text(file)) => file.next_part(self.find_cut)?,
                Some(OpenFile::JsonLines(file)) => file.next_part()?,
                None => None,
            };
            if part.is_some() || !self.open_next()? {
                return Ok(part);
            }
        }
    }
}

impl Iterator for TextParts<'_> {
    type Item = Result<TextPart, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        let part = self.next_part();
        if part.is_err() {
            (self.open, self.files) = (None, [].iter());
        }
        part.transpose()
    }
}
