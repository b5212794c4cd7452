//! Files of text to documents, in parts.

pub(crate) mod corpus;
mod json_lines_file;
mod text_file;
