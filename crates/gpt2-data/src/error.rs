//! Errors of training data.

use std::path::{Path, PathBuf};

use gpt2_files::FileError;
use gpt2_tokenizer::TokenizerError;

/// Reason why files cannot be used as training data.
///
/// A message names the file or option, the found and expected values, and the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// No path was given, or a folder holds no training files.
    #[error(
        "no files to train on in {path:?}: expected text files, `.jsonl` files or `.bin` files of token \
         ids whose names do not begin with a dot; pass others"
    )]
    NoFiles {
        /// Folder. Empty if no path was given.
        path: PathBuf,
    },

    /// The texts have no tokens.
    #[error(
        "found no tokens in {files} files, the first of them `{}`: expected text in one of them; pass \
         others",
        path.display()
    )]
    NoTokens {
        /// First file.
        path: PathBuf,
        /// Number of files.
        files: usize,
    },

    /// A text file or a line has a zero byte, or is not UTF-8.
    #[error(
        "`{}` is not text: expected UTF-8, found the byte {byte:#04x} at offset {offset}; {}",
        path.display(), remedy_of_bytes(path)
    )]
    NotText {
        /// File.
        path: PathBuf,
        /// Offset of the byte in the file.
        offset: u64,
        /// Byte at that offset: zero, or invalid in UTF-8.
        byte: u8,
    },

    /// A line of a JSON-lines file has no text.
    #[error(
        "line {line} of `{}`: expected a JSON object with the string `{key}`, found {found}; \
         correct the line, or set `text_key`",
        path.display()
    )]
    InvalidJsonLine {
        /// File.
        path: PathBuf,
        /// Line number, from 1.
        line: u64,
        /// Key of the text.
        key: String,
        /// Content of the line.
        found: String,
    },

    /// The tokenizer refuses a text.
    #[error("cannot tokenize the text at {at} of `{}`", path.display())]
    Untokenizable {
        /// File.
        path: PathBuf,
        /// Line or byte at which the text begins. Positions in the tokenizer's error are relative
        /// to it.
        at: String,
        /// Error of the tokenizer.
        source: TokenizerError,
    },

    /// A file changed while it was tokenized.
    #[error("`{}` changed while it was read; start again when it is complete", path.display())]
    CorpusChanged {
        /// File.
        path: PathBuf,
    },

    /// A file of token ids is damaged, or has another format.
    #[error(
        "`{}` is not a file of token ids: {field} must be {expected}, found {found}; write it again",
        path.display()
    )]
    InvalidShard {
        /// File.
        path: PathBuf,
        /// Invalid field: the size, or a part of the header.
        field: &'static str,
        /// Accepted value.
        expected: String,
        /// Found value.
        found: u64,
    },

    /// A folder of token ids holds both training and validation data.
    #[error(
        "`{}` holds files for training (`{training}`) and for validation (`{validation}`): pass \
         the files themselves, not the folder",
        path.display()
    )]
    MixedShards {
        /// Folder.
        path: PathBuf,
        /// File with `train` in its name.
        training: String,
        /// File with `val` or `test` in its name.
        validation: String,
    },

    /// A token id is outside the model's vocabulary.
    #[error(
        "`{}` holds the token id {token_id} at position {position}, expected ids below \
         {vocabulary_size}: use the tokenizer that the file was made with",
        path.display()
    )]
    TokenOutOfRange {
        /// File.
        path: PathBuf,
        /// Position among the tokens of the file, from 0.
        position: u64,
        /// Token id.
        token_id: u32,
        /// Size of the vocabulary.
        vocabulary_size: usize,
    },

    /// The token ids do not fill one window.
    #[error(
        "the texts have {found} tokens, expected at least {needed} for one example: add \
         text, or lower `sequence_length`"
    )]
    TooFewTokens {
        /// Number of tokens.
        found: u64,
        /// Required number of tokens: `sequence_length` + 1.
        needed: u64,
    },

    /// An option is out of range.
    #[error("`{option}` of the training data must be {expected}, found {found}; change it")]
    InvalidOption {
        /// Name of the option.
        option: &'static str,
        /// Accepted values.
        expected: &'static str,
        /// Given value.
        found: usize,
    },

    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),

    /// The tokenizer rejects its options.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
}

/// Remedy for a file that is not text, by its extension.
fn remedy_of_bytes(path: &Path) -> &'static str {
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    match extension.as_str() {
        "gz" | "tgz" | "zst" | "xz" | "bz2" | "zip" => "decompress it, and pass the text",
        "parquet" | "arrow" | "feather" => "export it to text or `.jsonl`, and pass that",
        _ => "convert the file to UTF-8, or leave it out",
    }
}

/// Rejects 0 as the value of an option.
pub(crate) fn check_positive(option: &'static str, found: usize) -> Result<(), DataError> {
    if found == 0 {
        return Err(DataError::InvalidOption { option, expected: "at least 1", found });
    }
    Ok(())
}
