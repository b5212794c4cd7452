//! The safetensors container.

pub(crate) mod file;
mod header;
pub(crate) mod layout;
pub(crate) mod named_writer;
