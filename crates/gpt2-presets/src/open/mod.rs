//! Opening a preset by its name, its handle or its path.

pub(crate) mod builtin;
#[cfg(feature = "bundled")]
mod bundled;
#[cfg(feature = "hub")]
pub(crate) mod cached_files;
pub(crate) mod find;
pub(crate) mod folder_files;
pub(crate) mod hub_access;
mod incomplete;
pub(crate) mod local_size;
mod locate;
pub(crate) mod recognise;
