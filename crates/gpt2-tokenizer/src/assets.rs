//! Files of a vocabulary and its merges: bounded reads, complete writes.

use std::path::Path;

use gpt2_files::{Staging, read_text_or_pipe};

use crate::config::Gpt2TokenizerConfig;
use crate::error::Result;
use crate::merges::Merges;
use crate::tokenizer::Gpt2Tokenizer;
use crate::vocabulary::Vocabulary;

/// KerasHub's name of the vocabulary file.
const VOCABULARY_FILE: &str = "vocabulary.json";
/// KerasHub's name of the merges file.
const MERGES_FILE: &str = "merges.txt";
/// Largest accepted file size in bytes. GPT-2's own files have at most one megabyte.
const MAX_FILE_SIZE: u64 = 64 * 1024 * 1024;

impl Gpt2Tokenizer {
    /// Reads a vocabulary (`vocabulary.json`, `vocab.json`, `encoder.json`) and merges
    /// (`merges.txt`, `vocab.bpe`).
    ///
    /// # Errors
    ///
    /// A file that cannot be read, exceeds 64 MiB or is not UTF-8, and all errors of the parsers
    /// and of [`new`](Self::new).
    pub fn from_files(
        vocabulary_path: impl AsRef<Path>,
        merges_path: impl AsRef<Path>,
        config: Gpt2TokenizerConfig,
    ) -> Result<Self> {
        let vocabulary =
            Vocabulary::from_json(&read_text_or_pipe(vocabulary_path.as_ref(), MAX_FILE_SIZE)?)?;
        let merges = Merges::parse(&read_text_or_pipe(merges_path.as_ref(), MAX_FILE_SIZE)?)?;
        Self::new(vocabulary, merges, config)
    }

    /// Reads `vocabulary.json` and `merges.txt` from a folder, like KerasHub's `load_assets`.
    ///
    /// # Errors
    ///
    /// As [`from_files`](Self::from_files).
    #[doc(alias = "load_assets")]
    pub fn from_assets(folder: impl AsRef<Path>, config: Gpt2TokenizerConfig) -> Result<Self> {
        let folder = folder.as_ref();
        Self::from_files(folder.join(VOCABULARY_FILE), folder.join(MERGES_FILE), config)
    }

    /// Writes `vocabulary.json` and `merges.txt` into a folder, which is created if it does not
    /// exist.
    ///
    /// The files get their names after both are written, so that no reader sees a partial file.
    ///
    /// # Errors
    ///
    /// The folder or a file cannot be written. A failure before the renames leaves old files
    /// unchanged.
    pub fn save_assets(&self, folder: impl AsRef<Path>) -> Result<()> {
        let mut files = Staging::new(folder.as_ref())?;
        files.text(VOCABULARY_FILE, &self.vocabulary().to_json())?;
        files.text(MERGES_FILE, &self.merges().to_text())?;
        Ok(files.commit()?)
    }
}
