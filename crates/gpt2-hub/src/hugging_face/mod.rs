//! Models on Hugging Face.
//!
//! The wire format of uploads is that of huggingface_hub 2.4.

pub(crate) mod cache;
pub(crate) mod folder;
mod lfs;
pub(crate) mod options;
mod repository;
pub(crate) mod upload;
