//! Tokenizes documents into a file of token ids.

mod tokenize_corpus;
pub(crate) mod tokenize_options;
mod tokenize_parts;
