//! Errors of the backbone.

use gpt2_kernels::DeviceError;

/// Error of this crate: names the refused input, the expected and found values, and the remedy.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BackboneError {
    /// A value in a [`Gpt2BackboneConfig`](crate::Gpt2BackboneConfig) is out of range.
    #[error("invalid backbone config: `{key}` must be {expected}, found {found}")]
    InvalidConfig {
        /// The config's key, as KerasHub spells it.
        key: &'static str,
        /// Accepted values.
        expected: String,
        /// Value in the config.
        found: String,
    },

    /// The heads do not divide the hidden size. KerasHub silently rounds the head size down.
    #[error(
        "invalid backbone config: `hidden_dim` ({hidden_dim}) must be a multiple of `num_heads` ({num_heads})"
    )]
    HeadsDoNotDivideHidden {
        /// Width of the hidden states.
        hidden_dim: usize,
        /// Number of attention heads.
        num_heads: usize,
    },

    /// The config has more parameters than any memory holds.
    #[error(
        "a model with this config has {parameters} parameters, more than the {limit} that this library accepts; check `num_layers`, `hidden_dim` and `vocabulary_size`"
    )]
    TooManyParameters {
        /// Number of parameters of the config, or the largest integer if it overflows.
        parameters: u128,
        /// Largest accepted number.
        limit: u128,
    },

    /// The sequence reaches past the learned positions.
    #[error(
        "position {end} is past the model's `max_sequence_length` of {max_sequence_length} tokens; shorten the input"
    )]
    SequenceTooLong {
        /// One past the last requested position.
        end: usize,
        /// Number of learned positions.
        max_sequence_length: usize,
    },

    /// A key/value cache has no room for the new tokens.
    #[error(
        "the key/value cache holds {length} of {max_length} tokens and cannot take {new} more; create it with a larger `max_length`"
    )]
    CacheFull {
        /// Tokens in the cache.
        length: usize,
        /// Capacity of the cache in tokens.
        max_length: usize,
        /// Number of tokens to be added.
        new: usize,
    },

    /// `position` was given, but the pass is not a step.
    #[error(
        "`position` is for one token a row after a key/value cache, without a mask or moved rows, on a GPU that has a kernel for it; found {found}; leave `position` out"
    )]
    NoStep {
        /// The condition of a step that the pass does not meet.
        found: &'static str,
    },

    /// `token_ids` is empty.
    #[error("`token_ids` must have at least one row and one position, found {shape:?}")]
    EmptyInput {
        /// Shape of `token_ids`.
        shape: [usize; 2],
    },

    /// The shapes of two inputs do not fit.
    #[error("`{name}` must have shape {expected:?}, found {found:?}")]
    ShapeMismatch {
        /// Name of the input.
        name: &'static str,
        /// Shape that fits the other inputs.
        expected: Vec<usize>,
        /// Shape of the input.
        found: Vec<usize>,
    },

    /// No part of the model has this name.
    #[error(
        "`{name}` names no layer of this model; the names are: {}", known.join(", ")
    )]
    UnknownLayer {
        /// The unknown name.
        name: String,
        /// Accepted names.
        known: Vec<String>,
    },

    /// The LoRA rank is out of range.
    #[error("the LoRA rank must be between 1 and `hidden_dim` ({limit}), found {found}")]
    InvalidLoraRank {
        /// The requested rank.
        found: usize,
        /// Largest rank: beyond it the LoRA has more parameters than the kernel.
        limit: usize,
    },

    /// LoRA is already enabled.
    #[error(
        "lora is already enabled; call `merge_lora` first to keep its training, or load the model again"
    )]
    LoraAlreadyEnabled,

    /// The text does not name a float type.
    #[error(
        "cannot parse the float type `{found}`, expected float32 (f32), float16 (f16) or bfloat16 (bf16)"
    )]
    UnknownFloatType {
        /// The text that was given.
        found: String,
    },

    /// An error of the device.
    #[error(transparent)]
    Device(#[from] DeviceError),
}
