//! `Corpus`: text files as one sequence of documents.

use std::path::{Path, PathBuf};

use gpt2_task::Fingerprint;
use gpt2_tokenizer::last_word_break;

use crate::documents::corpus_file::CorpusFile;
use crate::documents::text_part::FindCut;
use crate::documents::text_parts::TextParts;
use crate::error::DataError;
use crate::paths::{CACHE_EXTENSION, files_of, has_extension};

/// Bytes of a text file that are read and tokenized at a time.
const BLOCK: usize = 1 << 20;

/// Text files as one sequence of documents. A text file is one document, and so is each line of a
/// `.jsonl` or `.ndjson` file.
///
/// ```
/// use gpt2_data::Corpus;
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

impl Corpus {
    /// Lists the files without reading them.
    ///
    /// A folder stands for all files in it and below it, sorted. Files whose names begin with a
    /// dot, and those that [`tokenize`](Self::tokenize) writes (`.tokens`), are skipped. Links to
    /// folders are not followed.
    ///
    /// # Errors
    ///
    /// [`FileError::Read`](gpt2_files::FileError::Read) for a path that does not exist,
    /// [`FileError::NotAFile`](gpt2_files::FileError::NotAFile) for a pipe or a device,
    /// [`DataError::NoFiles`] for a folder without files, or an empty list of paths.
    pub fn open(paths: &[impl AsRef<Path>]) -> Result<Self, DataError> {
        let (mut files, mut empty_files) = (Vec::new(), Vec::new());
        for path in paths {
            for path in files_of(path.as_ref())? {
                if has_extension(&path, CACHE_EXTENSION) {
                    continue;
                }
                let file = CorpusFile::new(path)?;
                if file.size == 0 { empty_files.push(file.path) } else { files.push(file) }
            }
        }
        if files.is_empty() && empty_files.is_empty() {
            let path = paths.first().map_or(PathBuf::new(), |path| path.as_ref().into());
            return Err(DataError::NoFiles { path });
        }
        Ok(Self { files, empty_files, text_key: "text".to_owned(), block: BLOCK })
    }

    /// Sets the key of the text in a JSON object. Default: `text`.
    #[must_use]
    pub fn with_text_key(mut self, text_key: impl Into<String>) -> Self {
        self.text_key = text_key.into();
        self
    }

    /// Files with content, in order.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|file| file.path.as_path())
    }

    /// Empty files, which give no documents.
    pub fn empty_files(&self) -> &[PathBuf] {
        &self.empty_files
    }

    /// Total size of the files in bytes.
    pub fn total_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    /// Documents, each read on demand. Only one is in memory at a time; a text file is one
    /// document.
    ///
    /// # Errors
    ///
    /// [`FileError::Read`](gpt2_files::FileError::Read), [`DataError::NotText`] and
    /// [`DataError::InvalidJsonLine`]. The iterator ends after an error.
    pub fn documents(&self) -> impl Iterator<Item = Result<String, DataError>> {
        self.parts(&|_: &str| None).map(|part| Ok(part?.text))
    }

    /// Like [`documents`](Self::documents), but a large text file comes in parts of about a
    /// mebibyte, cut at a [`last_word_break`]. A [`TokenizerTrainer`] accepts the parts.
    ///
    /// [`TokenizerTrainer`]: gpt2_tokenizer::TokenizerTrainer
    ///
    /// # Errors
    ///
    /// As [`documents`](Self::documents).
    pub fn document_parts(&self) -> impl Iterator<Item = Result<String, DataError>> {
        self.parts(&last_word_break).map(|part| Ok(part?.text))
    }

    /// Parts of documents, cut by `find_cut`.
    pub(crate) fn parts<'a>(&'a self, find_cut: FindCut<'a>) -> TextParts<'a> {
        TextParts::new(&self.files, &self.text_key, self.block, find_cut)
    }

    /// Fingerprint of the paths and the read options, not of the files' content.
    pub(crate) fn identity(&self) -> Fingerprint {
        let start = Fingerprint::new().with(self.text_key.as_bytes());
        self.files.iter().fold(start, |fingerprint, file| file.add_path_to(fingerprint))
    }

    /// Fingerprint of the files' state: identity, sizes and modification times.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        let identity = self.identity();
        self.files.iter().fold(identity, |fingerprint, file| file.add_state_to(fingerprint))
    }

    /// Fails if a file has changed since the corpus was opened.
    pub(crate) fn check_unchanged(&self) -> Result<(), DataError> {
        self.files.iter().try_for_each(CorpusFile::check_unchanged)
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
        assert!(matches!(error, DataError::NoFiles { .. }), "{error}");
    }
}
