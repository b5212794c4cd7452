//! `TextPart`: a document or a piece of one.

use std::path::PathBuf;

/// Returns the last byte offset at which a text may be cut.
pub(crate) type FindCut<'a> = &'a dyn Fn(&str) -> Option<usize>;

/// A document, or a piece of one.
#[derive(Debug)]
pub(crate) struct TextPart {
    pub(crate) text: String,
    pub(crate) ends_document: bool,
    /// Length of the part in its file, in bytes.
    pub(crate) bytes: u64,
    /// File.
    pub(crate) path: PathBuf,
    /// Line or byte at which the part begins.
    pub(crate) at: String,
}
