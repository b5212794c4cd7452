//! Decode steps whose tokens are chosen on the device.
//!
//! The logits stay on the device, and a step starts before the host has the token of the step
//! before.
//!
//! - [`fill`] is the host side: it keeps two steps in flight and writes the tokens that arrive.
//! - [`model`] is the interface of such a model.
//! - [`steps`] is the device side. One state there, `gpt2_kernels::StepState`, holds position,
//!   tokens and random numbers of the next step. Its `advance` selects the token to feed: the
//!   prompt's token if the row has one at that position, otherwise the chosen one.

pub(crate) mod fill;
pub(crate) mod model;
pub(crate) mod steps;
