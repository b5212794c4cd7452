//! Generation: from a prompt's tokens, through the model and a search, to the answer's.

mod cached_model;
pub(crate) mod decoding;
pub(crate) mod draw;
pub(crate) mod generate;
pub(crate) mod next_token;
pub(crate) mod probabilities;
pub mod samplers;
