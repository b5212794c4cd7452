//! Models on Hugging Face.
//!
//! The wire format of uploads is that of huggingface_hub 2.4.

#[cfg(feature = "client")]
mod cache;
#[cfg(feature = "client")]
pub(crate) mod folder;
#[cfg(feature = "client")]
mod lfs;
#[cfg(feature = "client")]
pub(crate) mod options;
#[cfg(feature = "client")]
mod repository;
mod snapshot;
#[cfg(feature = "client")]
pub(crate) mod upload;

pub use snapshot::blobs_of_snapshot;
