//! Generation: a search extends the tokens of prompts with the model.

mod cached_model;
mod choices;
pub(crate) mod decoding;
pub(crate) mod device_step;
pub(crate) mod draw;
pub(crate) mod generate;
pub(crate) mod logits_processor;
pub(crate) mod matrix;
pub(crate) mod next_token;
pub(crate) mod options;
pub(crate) mod probabilities;
pub(crate) mod rows;
pub mod samplers;
pub(crate) mod top_tokens;
