//! Downloads from a hub to the disk: complete and verified, or not at all.

pub(crate) mod digest;
pub(crate) mod download;
mod partial;
pub(crate) mod progress;
