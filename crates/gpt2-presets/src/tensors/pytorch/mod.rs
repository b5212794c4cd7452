//! PyTorch checkpoints, read without running code.

mod container;
pub(crate) mod file;
mod pickle;
