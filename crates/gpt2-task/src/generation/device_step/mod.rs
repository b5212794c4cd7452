//! Steps whose tokens are chosen on the device.
//!
//! The logits stay where they are, and a step starts before the host has the token of the one
//! before it. [`fill`] is the host's side: it keeps two steps under way and writes the tokens that
//! arrive. [`model`] is what it asks of a model. [`steps`] is the device's side: position, tokens
//! and random numbers of the next step are one state there, `gpt2_kernels::StepState`, whose
//! `advance` is the one rule for the token that is fed: the prompt's if the row has one at that
//! position, else the chosen one.

pub(crate) mod fill;
pub(crate) mod model;
pub(crate) mod steps;
