//! Location of a preset by its name, its path or its handle.

#[cfg(feature = "bundled")]
pub(crate) mod bundled;
