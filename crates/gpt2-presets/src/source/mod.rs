//! Sources of a preset's files: a folder, one file, this library, or a hub.

pub(crate) mod blob;
pub(crate) mod checkpoint_file;
#[cfg(feature = "bundled")]
pub(crate) mod embedded;
pub(crate) mod json_object;
pub(crate) mod local_folder;
pub(crate) mod preset_folder;
#[cfg(feature = "hub")]
pub(crate) mod remote;
pub(crate) mod single_file;
pub(crate) mod zip_members;
