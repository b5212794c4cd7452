//! Stage 1, files to text and back: the only module that touches the disk.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Gpt2Tokenizer, Gpt2TokenizerConfig, Merges, Result, TokenizerError, Vocabulary};

/// KerasHub's name of the vocabulary file.
const VOCABULARY_FILE: &str = "vocabulary.json";
/// KerasHub's name of the merges file.
const MERGES_FILE: &str = "merges.txt";
/// Size in bytes above which a file is refused unread; GPT-2's own have one megabyte.
const MAX_FILE_SIZE: u64 = 64 * 1024 * 1024;

impl Gpt2Tokenizer {
    /// Reads a vocabulary (`vocabulary.json`, `vocab.json`, `encoder.json`) and merges
    /// (`merges.txt`, `vocab.bpe`).
    ///
    /// # Errors
    ///
    /// A file cannot be read, exceeds 64 MiB or is not UTF-8, and all that the parsers and
    /// [`new`](Self::new) refuse.
    pub fn from_files(
        vocabulary_path: impl AsRef<Path>,
        merges_path: impl AsRef<Path>,
        config: Gpt2TokenizerConfig,
    ) -> Result<Self> {
        let vocabulary = Vocabulary::from_json(&read_text(vocabulary_path.as_ref())?)?;
        let merges = Merges::parse(&read_text(merges_path.as_ref())?)?;
        Self::new(vocabulary, merges, config)
    }

    /// Reads `vocabulary.json` and `merges.txt` of a folder, as KerasHub's `load_assets`.
    ///
    /// # Errors
    ///
    /// As [`from_files`](Self::from_files).
    #[doc(alias = "load_assets")]
    pub fn from_assets(folder: impl AsRef<Path>, config: Gpt2TokenizerConfig) -> Result<Self> {
        let folder = folder.as_ref();
        Self::from_files(folder.join(VOCABULARY_FILE), folder.join(MERGES_FILE), config)
    }

    /// Writes `vocabulary.json` and `merges.txt` into a folder, which is created if need be.
    ///
    /// Each file is written under a temporary name and renamed, so that no reader ever sees a
    /// part of one.
    ///
    /// # Errors
    ///
    /// The folder or a file cannot be written; a file of that name is then as it was before.
    pub fn save_assets(&self, folder: impl AsRef<Path>) -> Result<()> {
        let folder = folder.as_ref();
        fs::create_dir_all(folder).map_err(io_error("create", folder))?;
        replace(folder, VOCABULARY_FILE, &self.get_vocabulary().to_json())?;
        replace(folder, MERGES_FILE, &self.merges().to_text())
    }
}

/// Reads a whole file as UTF-8, if it is a file and small enough.
fn read_text(path: &Path) -> Result<String> {
    let file = File::open(path).map_err(io_error("read", path))?;
    let metadata = file.metadata().map_err(io_error("read", path))?;
    let too_large =
        |size| TokenizerError::FileTooLarge { path: path.into(), size, limit: MAX_FILE_SIZE };
    if metadata.len() > MAX_FILE_SIZE {
        return Err(too_large(metadata.len()));
    }
    let mut bytes = Vec::with_capacity(metadata.len() as usize);
    // The bound also holds for what has no size, such as a device.
    file.take(MAX_FILE_SIZE + 1).read_to_end(&mut bytes).map_err(io_error("read", path))?;
    if bytes.len() as u64 > MAX_FILE_SIZE {
        return Err(too_large(bytes.len() as u64));
    }
    String::from_utf8(bytes).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        TokenizerError::NotUtf8 { path: path.into(), offset }
    })
}

/// Writes `folder/name` in one step, seen from outside.
fn replace(folder: &Path, name: &str, text: &str) -> Result<()> {
    static WRITES: AtomicU64 = AtomicU64::new(0);
    let write = WRITES.fetch_add(1, Ordering::Relaxed);
    let temporary = folder.join(format!(".{name}.{}-{write}.tmp", std::process::id()));
    let target = folder.join(name);
    write_new(&temporary, text).and_then(|()| fs::rename(&temporary, &target)).map_err(|error| {
        // The write has failed already; a left-over temporary file would be the lesser fault.
        let _ = fs::remove_file(&temporary);
        io_error("write", &target)(error)
    })
}

/// Writes a file that must not exist yet, down to the disk.
fn write_new(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> TokenizerError {
    move |source| TokenizerError::Io { action, path: path.into(), source }
}
