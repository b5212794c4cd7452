//! Errors between token ids and hidden states.

use gpt2_kernels::DeviceError;

/// Error of this crate: the input refused, what was expected, what was found, and the remedy.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BackboneError {
    /// A value in a [`Gpt2BackboneConfig`](crate::Gpt2BackboneConfig) is out of range.
    #[error("invalid backbone config: `{key}` must be {expected}, found {found}")]
    InvalidConfig {
        /// The config's key, as KerasHub spells it.
        key: &'static str,
        /// Values that are accepted.
        expected: String,
        /// Value in the config.
        found: String,
    },

    /// The heads do not divide the hidden size. KerasHub rounds the head size down in silence.
    #[error(
        "invalid backbone config: `hidden_dim` ({hidden_dim}) must be a multiple of `num_heads` ({num_heads})"
    )]
    HeadsDoNotDivideHidden {
        /// Width of the hidden states.
        hidden_dim: usize,
        /// Number of attention heads.
        num_heads: usize,
    },

    /// The model would not fit into any memory.
    #[error(
        "a model with this config has {parameters} parameters, more than the {limit} that this library accepts; check `num_layers`, `hidden_dim` and `vocabulary_size`"
    )]
    TooManyParameters {
        /// Parameters of the config, or the largest integer if they overflow it.
        parameters: u128,
        /// The most that is accepted.
        limit: u128,
    },

    /// The sequence reaches past the learned positions.
    #[error(
        "position {end} is past the model's `max_sequence_length` of {max_sequence_length} tokens; shorten the input"
    )]
    SequenceTooLong {
        /// One past the last position asked for.
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
        /// Its capacity in tokens.
        max_length: usize,
        /// Tokens that were to be added.
        new: usize,
    },

    /// A pass was told its position on the device, and cannot be a step.
    #[error(
        "`position` is for one token a row behind a key/value cache, without a mask and moved rows, on a GPU that has a kernel for it; found {found}; leave `position` out"
    )]
    NoStep {
        /// Difference from a step.
        found: &'static str,
    },

    /// No tokens at all.
    #[error("`token_ids` must have at least one row and one position, found {shape:?}")]
    EmptyInput {
        /// The shape of `token_ids`.
        shape: [usize; 2],
    },

    /// Two inputs do not belong together.
    #[error("`{name}` must have shape {expected:?}, found {found:?}")]
    ShapeMismatch {
        /// The input's name.
        name: &'static str,
        /// The shape that fits the other inputs.
        expected: Vec<usize>,
        /// Its shape.
        found: Vec<usize>,
    },

    /// A name that no part of the model has.
    #[error(
        "`{name}` names no layer of this model; the names are: {}", known.join(", ")
    )]
    UnknownLayer {
        /// The name.
        name: String,
        /// The names that would have been accepted.
        known: Vec<String>,
    },

    /// A LoRA whose rank cannot be.
    #[error("the LoRA rank must be between 1 and `hidden_dim` ({limit}), found {found}")]
    InvalidLoraRank {
        /// The rank.
        found: usize,
        /// The largest rank: a larger one has more parameters than the kernel.
        limit: usize,
    },

    /// LoRA was enabled before.
    #[error(
        "lora is already enabled, which can only be done once; call `merge_lora` first to keep what it learned, or load the model again"
    )]
    LoraAlreadyEnabled,

    /// The text does not name a float type.
    #[error(
        "cannot parse the float type `{found}`, expected float32 (f32), float16 (f16) or bfloat16 (bf16)"
    )]
    UnknownFloatType {
        /// The text.
        found: String,
    },

    /// From the device.
    #[error(transparent)]
    Device(#[from] DeviceError),
}
