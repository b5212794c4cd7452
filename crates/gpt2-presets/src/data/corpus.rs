//! Files of text as one sequence of documents.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use gpt2_tokenizer::last_word_break;

use gpt2_files::regular_file;

use crate::PresetError;
use crate::data::fingerprint::Fingerprint;
use crate::data::json_lines_file::JsonLinesFile;
use crate::data::paths::{files_of, has_extension};
use crate::data::text_file::TextFile;
use crate::data::token_cache;

/// Bytes of a text file that are read, and tokenized, at a time.
const BLOCK: usize = 1 << 20;

/// Files of text: a text file is a document, and so is a line of a `.jsonl` file.
///
/// ```
/// use gpt2_presets::Corpus;
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// std::fs::write(folder.join("a.txt"), "To be, or not to be")?;
/// std::fs::write(folder.join("b.jsonl"), "{\"text\": \"What,\"}\n{\"text\": \"art thou mad?\"}\n")?;
/// let corpus = Corpus::open(&[folder])?;
/// let documents: Result<Vec<String>, _> = corpus.documents().collect();
/// assert_eq!(documents?, ["To be, or not to be", "What,", "art thou mad?"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Corpus {
    files: Vec<CorpusFile>,
    empty_files: Vec<PathBuf>,
    text_key: String,
    pub(crate) block: usize,
}

/// A file with text, as it was when the corpus was opened.
#[derive(Debug, Clone, PartialEq)]
struct CorpusFile {
    path: PathBuf,
    size: u64,
    modified: Option<SystemTime>,
}

/// Where a text may be cut, in bytes: the last place, if there is one.
pub(crate) type Cut<'a> = &'a dyn Fn(&str) -> Option<usize>;

/// A document, or a part of one.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) text: String,
    pub(crate) ends_document: bool,
    /// Bytes of the file that it took.
    pub(crate) bytes: u64,
    /// The file, and where in it.
    pub(crate) path: PathBuf,
    pub(crate) at: String,
}

impl Corpus {
    /// Finds the files, without reading them. A folder stands for all files in it and below it,
    /// sorted; names that begin with a dot or end in `.tokens`, which is what
    /// [`tokenize`](Self::tokenize) writes, are passed over, links to folders are not followed.
    ///
    /// # Errors
    ///
    /// [`FileError::Read`](gpt2_files::FileError::Read) for a path that does not exist, [`FileError::NotAFile`](gpt2_files::FileError::NotAFile) for a pipe or
    /// a device, [`PresetError::NoTrainingFiles`] for a folder without files or no path at all.
    pub fn open(paths: &[impl AsRef<Path>]) -> Result<Self, PresetError> {
        let (mut files, mut empty_files) = (Vec::new(), Vec::new());
        for path in paths {
            for path in files_of(path.as_ref())? {
                if has_extension(&path, token_cache::EXTENSION) {
                    continue;
                }
                let file = CorpusFile::new(path)?;
                if file.size == 0 { empty_files.push(file.path) } else { files.push(file) }
            }
        }
        if files.is_empty() && empty_files.is_empty() {
            let path = paths.first().map_or(PathBuf::new(), |path| path.as_ref().into());
            return Err(PresetError::NoTrainingFiles { path });
        }
        Ok(Self { files, empty_files, text_key: "text".to_owned(), block: BLOCK })
    }

    /// The key under which a JSON object has its text: `text` unless set.
    #[must_use]
    pub fn with_text_key(mut self, text_key: impl Into<String>) -> Self {
        self.text_key = text_key.into();
        self
    }

    /// The files with text, in order.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|file| file.path.as_path())
    }

    /// Files of no bytes, which were passed over.
    pub fn empty_files(&self) -> &[PathBuf] {
        &self.empty_files
    }

    /// Bytes of all files.
    pub fn total_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    /// The documents, read when they are asked for. One is in memory at a time; a text file is one.
    ///
    /// # Errors
    ///
    /// [`FileError::Read`](gpt2_files::FileError::Read), [`PresetError::NotText`] and [`PresetError::InvalidJsonLine`]. After an
    /// error nothing more comes.
    pub fn documents(&self) -> impl Iterator<Item = Result<String, PresetError>> {
        self.parts(&|_: &str| None).map(|part| Ok(part?.text))
    }

    /// As [`documents`](Self::documents), but a large text file comes in parts of about a mebibyte,
    /// cut where [`last_word_break`] says: what a [`TokenizerTrainer`] may be fed with.
    ///
    /// [`TokenizerTrainer`]: gpt2_tokenizer::TokenizerTrainer
    ///
    /// # Errors
    ///
    /// As [`documents`](Self::documents).
    pub fn document_parts(&self) -> impl Iterator<Item = Result<String, PresetError>> {
        self.parts(&last_word_break).map(|part| Ok(part?.text))
    }

    /// The documents in parts that end where `cut` says.
    pub(crate) fn parts<'a>(&'a self, cut: Cut<'a>) -> Parts<'a> {
        Parts { corpus: self, cut, next_file: 0, open: None }
    }

    /// Says which files these are, and how they are read: not what they hold.
    pub(crate) fn identity(&self) -> Fingerprint {
        let start = Fingerprint::new().with(self.text_key.as_bytes());
        self.files.iter().fold(start, |fingerprint, file| {
            // Two ways to write a path are one file.
            let path = std::path::absolute(&file.path).unwrap_or_else(|_| file.path.clone());
            fingerprint.with(path.as_os_str().as_encoded_bytes())
        })
    }

    /// Tells this state of the files from another one, by sizes and times of modification.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        self.files.iter().fold(self.identity(), |fingerprint, file| {
            let since = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).ok();
            let modified = file.modified.and_then(since).unwrap_or_default();
            fingerprint.with_number(file.size).with(&modified.as_nanos().to_le_bytes())
        })
    }

    /// Refuses files that are not what they were when the corpus was opened.
    pub(crate) fn check_unchanged(&self) -> Result<(), PresetError> {
        for file in &self.files {
            if CorpusFile::new(file.path.clone())? != *file {
                return Err(PresetError::CorpusChanged { path: file.path.clone() });
            }
        }
        Ok(())
    }
}

impl CorpusFile {
    fn new(path: PathBuf) -> Result<Self, PresetError> {
        let metadata = regular_file(&path)?;
        Ok(Self { path, size: metadata.len(), modified: metadata.modified().ok() })
    }
}

/// Iterator of [`Corpus::parts`].
pub(crate) struct Parts<'a> {
    corpus: &'a Corpus,
    cut: Cut<'a>,
    next_file: usize,
    open: Option<OpenFile>,
}

enum OpenFile {
    Text(TextFile),
    JsonLines(JsonLinesFile),
}

impl Parts<'_> {
    fn open_next(&mut self) -> Result<bool, PresetError> {
        let Some(CorpusFile { path, .. }) = self.corpus.files.get(self.next_file) else {
            return Ok(false);
        };
        self.next_file += 1;
        let json_lines = has_extension(path, "jsonl") || has_extension(path, "ndjson");
        self.open = Some(match json_lines {
            true => OpenFile::JsonLines(JsonLinesFile::open(path, &self.corpus.text_key)?),
            false => OpenFile::Text(TextFile::open(path, self.corpus.block)?),
        });
        Ok(true)
    }

    fn next_part(&mut self) -> Result<Option<Part>, PresetError> {
        loop {
            let part = match &mut self.open {
                Some(OpenFile::Text(file)) => file.next_part(self.cut)?,
                Some(OpenFile::JsonLines(file)) => file.next_part()?,
                None => None,
            };
            if part.is_some() || !self.open_next()? {
                return Ok(part);
            }
        }
    }
}

impl Iterator for Parts<'_> {
    type Item = Result<Part, PresetError>;

    fn next(&mut self) -> Option<Self::Item> {
        let part = self.next_part();
        if part.is_err() {
            self.open = None;
            self.next_file = self.corpus.files.len();
        }
        part.transpose()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn files_and_folders_give_documents_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("b")).unwrap();
        fs::write(path("z.txt"), "last").unwrap();
        fs::write(path("b/2.NDJSON"), "{\"body\": \"two\"}\n{\"body\": \"three\"}").unwrap();
        fs::write(path("b/1.rst"), "one\n\n").unwrap();
        fs::write(path("b/0.txt"), "").unwrap();
        fs::write(path("b/cache.tokens"), b"\xff\xff").unwrap();
        let corpus = Corpus::open(&[path("z.txt"), path("b")]).unwrap().with_text_key("body");
        let documents: Result<Vec<_>, _> = corpus.documents().collect();
        assert_eq!(documents.unwrap(), ["last", "one\n\n", "two", "three"]);
        assert!(corpus.files().eq([path("z.txt"), path("b/1.rst"), path("b/2.NDJSON")]));
        assert_eq!(corpus.empty_files(), [path("b/0.txt")]);
        assert_eq!(corpus.total_bytes(), 4 + 5 + 33);
    }

    #[test]
    fn parts_of_a_document_join_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let text = "to be, or not to be\n".repeat(9);
        fs::write(folder.path().join("a.txt"), &text).unwrap();
        let mut corpus = Corpus::open(&[folder.path()]).unwrap();
        corpus.block = 16;
        let parts: Result<Vec<_>, _> = corpus.document_parts().collect();
        let parts = parts.unwrap();
        assert!(parts.len() > 5 && parts.concat() == text, "{parts:?}");
    }

    #[test]
    fn nothing_comes_after_an_error() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.jsonl"), "{\"text\": \"a\"}\n{}\n{\"text\": \"b\"}")
            .unwrap();
        fs::write(folder.path().join("b.txt"), "b").unwrap();
        let corpus = Corpus::open(&[folder.path()]).unwrap();
        let found: Vec<bool> = corpus.documents().map(|document| document.is_ok()).collect();
        assert_eq!(found, [true, false]);
    }

    #[test]
    fn no_path_is_an_error() {
        let error = Corpus::open(&[] as &[&str]).unwrap_err();
        assert!(matches!(error, PresetError::NoTrainingFiles { .. }), "{error}");
    }
}
