//! Formats of presets, a folder each.

pub(crate) mod expressible;
pub(crate) mod format;
pub(crate) mod gguf;
pub(crate) mod keras;
pub(crate) mod tokenizer;
pub(crate) mod transformers;
