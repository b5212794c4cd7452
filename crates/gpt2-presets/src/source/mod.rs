//! Sources of a preset's files.

pub(crate) mod files;
pub(crate) mod zip_members;
