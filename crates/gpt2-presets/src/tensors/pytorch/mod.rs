//! The containers that PyTorch writes.

pub(crate) mod file;
mod pickle;
