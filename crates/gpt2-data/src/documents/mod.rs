//! Documents of text files, in parts.

pub(crate) mod corpus;
mod corpus_file;
mod json_lines_file;
mod text_file;
pub(crate) mod text_part;
pub(crate) mod text_parts;
