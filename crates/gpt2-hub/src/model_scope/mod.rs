//! Models on ModelScope.

pub(crate) mod cache;
mod cookie_jar;
pub(crate) mod folder;
mod listing;
pub(crate) mod options;
