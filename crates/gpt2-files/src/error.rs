//! Errors of reading and writing files.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

/// Reason why a file cannot be read or written.
///
/// The operating system's answer is the [`source`](std::error::Error::source); the message does not
/// repeat it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The operating system refused to read.
    #[error("cannot read `{}`; check the path and its permissions", path.display())]
    Read {
        /// File or folder.
        path: PathBuf,
        /// Answer of the operating system.
        source: io::Error,
    },

    /// The operating system refused to write.
    #[error("cannot write `{}`; check the path, its permissions and the free space", path.display())]
    Write {
        /// File or folder.
        path: PathBuf,
        /// Answer of the operating system.
        source: io::Error,
    },

    /// The path leads to a folder, pipe, socket or device, not to a regular file.
    #[error("`{}` is not a regular file; replace it by the file itself", path.display())]
    NotAFile {
        /// Path.
        path: PathBuf,
    },

    /// A file is larger than files of its kind can be.
    #[error(
        "`{}` has {size} bytes, expected at most {limit}; check that it is the right file",
        path.display()
    )]
    TooLarge {
        /// File.
        path: PathBuf,
        /// Size in bytes.
        size: u64,
        /// Most bytes that are read.
        limit: u64,
    },

    /// A text file holds bytes that are not UTF-8.
    #[error(
        "`{}` is not UTF-8 text: byte {offset} is invalid; download or export it again",
        path.display()
    )]
    NotUtf8 {
        /// File.
        path: PathBuf,
        /// Offset in bytes of the first invalid byte.
        offset: usize,
    },

    /// The destination has no file name.
    #[error(
        "cannot use `{}` as a destination: it has no file name; pass a name, not `.` or `/`",
        path.display()
    )]
    NoName {
        /// Destination.
        path: PathBuf,
    },

    /// The destination exists, and replacing it was not allowed.
    #[error("`{}` exists already; pass another destination, or allow it to be replaced", path.display())]
    Exists {
        /// Destination.
        path: PathBuf,
    },

    /// The destination has content that must not be lost.
    #[error(
        "cannot replace `{}`: {why}; remove it yourself, or choose another destination",
        path.display()
    )]
    Precious {
        /// Destination.
        path: PathBuf,
        /// Reason, of which the destination is the subject: "it is not a GGUF file".
        why: String,
    },

    /// The new content could not be put in place of the old content, which was moved aside and
    /// could not be moved back.
    #[error(
        "cannot put the old content back after a failure ({}); move it back from `{}`",
        with_cause(failure), aside.display()
    )]
    MovedAside {
        /// The first failure.
        failure: Box<FileError>,
        /// Path of the old content.
        aside: PathBuf,
        /// Answer of the operating system to the move back.
        source: io::Error,
    },
}

fn with_cause(error: &FileError) -> String {
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

/// Adds a path to an error of the operating system while reading.
pub fn read_error(path: &Path) -> impl FnOnce(io::Error) -> FileError {
    let path = path.to_owned();
    move |source| FileError::Read { path, source }
}

/// Adds a path to an error of the operating system while writing.
pub fn write_error(path: &Path) -> impl FnOnce(io::Error) -> FileError {
    let path = path.to_owned();
    move |source| FileError::Write { path, source }
}
