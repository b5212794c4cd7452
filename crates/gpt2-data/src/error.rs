//! Reasons why files do not become examples.

use std::path::PathBuf;

use gpt2_files::FileError;
use gpt2_tokenizer::TokenizerError;

/// Reason why files do not become examples.
///
/// A message names the file or option, what was found, what was expected, and the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// No path was given, or a folder holds no file to train on.
    #[error(
        "no files to train on in {path:?}: expected text files, `.jsonl` files or `.bin` files of token \
         ids whose names do not begin with a dot; pass others"
    )]
    NoFiles {
        /// Folder. Empty if no path was given.
        path: PathBuf,
    },

    /// The texts give no token.
    #[error(
        "no token in `{}`, the first of {files} files: expected text in one of them; pass others",
        path.display()
    )]
    NoTokens {
        /// First file.
        path: PathBuf,
        /// Number of files.
        files: usize,
    },

    /// A text file or a line holds a byte that no text has.
    #[error(
        "`{}` is not text: expected UTF-8, found the byte {byte:#04x} at offset {offset}; convert \
         the file to UTF-8, or leave it out",
        path.display()
    )]
    NotText {
        /// File.
        path: PathBuf,
        /// Offset of the byte in the file.
        offset: u64,
        /// Byte that is zero, or invalid in UTF-8 at that offset.
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
        /// Number of the line, from 1.
        line: u64,
        /// Key of the text.
        key: String,
        /// Content found in the line.
        found: String,
    },

    /// The tokenizer refuses a text.
    #[error("cannot tokenize the text at {at} of `{}`", path.display())]
    Untokenizable {
        /// File.
        path: PathBuf,
        /// Line or byte at which the text begins. The tokenizer counts from there.
        at: String,
        /// Answer of the tokenizer.
        source: TokenizerError,
    },

    /// A file changed while it was tokenized.
    #[error("`{}` has changed while it was read: begin again when it is complete", path.display())]
    CorpusChanged {
        /// File.
        path: PathBuf,
    },

    /// A file of token ids is damaged, or has another format.
    #[error(
        "`{}` is no file of token ids: {field} must be {expected}, found {found}; write it again",
        path.display()
    )]
    InvalidShard {
        /// File.
        path: PathBuf,
        /// Field at fault: the size, or a part of the header.
        field: &'static str,
        /// Value that is accepted.
        expected: String,
        /// Value that was found.
        found: u64,
    },

    /// A folder of token ids holds data for training and for validation.
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

    /// A token id lies outside the model's vocabulary.
    #[error(
        "`{}` holds the token id {token_id} at position {position}, expected ids below \
         {vocabulary_size}: use the tokenizer that the file was made with",
        path.display()
    )]
    TokenOutOfRange {
        /// File.
        path: PathBuf,
        /// Position among the file's tokens, from 0.
        position: u64,
        /// Token id.
        token_id: u32,
        /// Size of the vocabulary.
        vocabulary_size: usize,
    },

    /// The data does not fill one window.
    #[error(
        "the texts have {found} tokens, expected at least {needed} for one example: add \
         text, or lower `sequence_length`"
    )]
    TooFewTokens {
        /// Number of tokens.
        found: u64,
        /// `sequence_length` + 1.
        needed: u64,
    },

    /// An option is out of range.
    #[error("`{option}` of the training data must be {expected}, found {found}; change it")]
    InvalidOption {
        /// Name of the option.
        option: &'static str,
        /// Values that are accepted.
        expected: &'static str,
        /// Value that was given.
        found: usize,
    },

    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),

    /// The tokenizer does not take its options.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
}

/// Refuses 0 as the value of an option.
pub(crate) fn check_positive(option: &'static str, found: usize) -> Result<(), DataError> {
    if found == 0 {
        return Err(DataError::InvalidOption { option, expected: "at least 1", found });
    }
    Ok(())
}
