//! `JsonLinesFile`: a file with one JSON object a line, each a document.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use gpt2_files::read_error;
use serde_json::Value;

use crate::documents::text_file::{BYTE_ORDER_MARK, not_text};
use crate::documents::text_part::TextPart;
use crate::error::DataError;

/// Open file of JSON lines.
pub(crate) struct JsonLinesFile {
    path: PathBuf,
    reader: BufReader<File>,
    /// Key of the text in an object.
    key: String,
    /// Number of bytes read so far.
    read: u64,
    /// Number of lines read so far.
    line: u64,
}

impl JsonLinesFile {
    /// Opens a regular file.
    pub(crate) fn open(path: &Path, key: &str) -> Result<Self, DataError> {
        let reader = BufReader::new(File::open(path).map_err(read_error(path))?);
        Ok(Self { path: path.into(), reader, key: key.into(), read: 0, line: 0 })
    }

    /// Text of the next non-blank line.
    pub(crate) fn next_part(&mut self) -> Result<Option<TextPart>, DataError> {
        let mut bytes = Vec::new();
        let start = self.read;
        loop {
            let from = bytes.len();
            let count =
                self.reader.read_until(b'\n', &mut bytes).map_err(read_error(&self.path))?;
            if count == 0 {
                return Ok(None);
            }
            self.line += 1;
            self.read += count as u64;
            if bytes[from..].trim_ascii().is_empty() {
                continue;
            }
            let text = self.text_of(&bytes[from..], self.read - count as u64)?;
            let at = format!("line {}", self.line);
            let (path, bytes) = (self.path.clone(), self.read - start);
            return Ok(Some(TextPart { text, ends_document: true, bytes, path, at }));
        }
    }

    /// Text of a line that begins at `offset` of the file.
    fn text_of(&self, line: &[u8], offset: u64) -> Result<String, DataError> {
        let text = std::str::from_utf8(line).map_err(|error| {
            let index = error.valid_up_to();
            not_text(&self.path, offset + index as u64, line[index])
        })?;
        // With the line break, the parser would report a fault at the end on the next line.
        let text = text.trim_ascii_end();
        let text = if self.line == 1 { text.trim_start_matches(BYTE_ORDER_MARK) } else { text };
        let mut object: Value =
            serde_json::from_str(text).map_err(|error| self.invalid(json_fault(&error)))?;
        match object.get_mut(&self.key).map(Value::take) {
            Some(Value::String(text)) => Ok(text),
            Some(_) => Err(self.invalid(format!("`{}` that is not a string", self.key))),
            None if object.is_object() => Err(self.invalid(format!("no key `{}`", self.key))),
            None => Err(self.invalid("no object".to_owned())),
        }
    }

    fn invalid(&self, found: String) -> DataError {
        let key = self.key.clone();
        DataError::InvalidJsonLine { path: self.path.clone(), line: self.line, key, found }
    }
}

/// Message of the parser without its line number, which is always 1: the parser sees one line.
fn json_fault(error: &serde_json::Error) -> String {
    error.to_string().replace(" at line 1 column ", " at column ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(content: &[u8]) -> Result<Vec<(String, String)>, DataError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines.jsonl");
        std::fs::write(&path, content).unwrap();
        let mut file = JsonLinesFile::open(&path, "text").unwrap();
        let mut texts = Vec::new();
        let mut bytes = 0;
        while let Some(part) = file.next_part()? {
            bytes += part.bytes;
            texts.push((part.text, part.at));
        }
        assert!(bytes <= content.len() as u64);
        Ok(texts)
    }

    #[test]
    fn a_line_is_a_document_and_blank_lines_are_none() {
        let content =
            "\u{feff}{\"text\": \"a\\nb\", \"id\": 1}\r\n\n  \n{\"id\": 2, \"text\": \"é\"}";
        let expected = [("a\nb", "line 1"), ("é", "line 4")];
        let expected = expected.map(|(text, at)| (text.to_owned(), at.to_owned()));
        assert_eq!(texts(content.as_bytes()).unwrap(), expected);
    }

    #[test]
    fn a_line_at_fault_is_named() {
        for (line, expected) in [
            ("{\"text\": ", "EOF while parsing a value at column"),
            ("plain text", "expected value at column 1"),
            ("{\"Text\": \"a\"}", "no key `text`"),
            ("{\"text\": 1}", "`text` that is not a string"),
            ("[1]", "no object"),
        ] {
            let content = format!("{{\"text\": \"fine\"}}\n{line}\n");
            let message = texts(content.as_bytes()).unwrap_err().to_string();
            assert!(message.contains("line 2 of"), "{message}");
            assert!(message.contains(expected), "{message}");
        }
        let error = texts(b"{\"text\": \"fine\"}\n{\"text\": \"\xff\"}\n").unwrap_err();
        assert!(matches!(error, DataError::NotText { offset: 27, byte: 0xff, .. }), "{error}");
    }
}
