//! Models on Kaggle.
//!
//! The wire format is that of kagglehub 1.0.2.

pub(crate) mod cache;
pub(crate) mod folder;
mod framework;
pub(crate) mod options;
pub(crate) mod upload;
