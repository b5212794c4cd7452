//! What can go wrong between token ids and hidden states.

/// Everything that this crate refuses, with what was expected, what was found, and the remedy.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BackboneError {
    /// A value in a [`Gpt2BackboneConfig`](crate::Gpt2BackboneConfig) is out of range.
    #[error("invalid backbone config: `{key}` must be {expected}, found {found}")]
    InvalidConfig {
        /// The config's key, as KerasHub spells it.
        key: &'static str,
        /// What would have been accepted.
        expected: String,
        /// What the config holds.
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
        /// What is otherwise.
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

    /// The text does not name a device.
    #[error(
        "`{device}` is not a device: expected one of \"auto\", \"cpu\", \"flex\", \"ndarray\", \"wgpu\", \"vulkan\", \"metal\", \"webgpu\" or \"cuda\", the last five with an optional index such as \"vulkan:0\""
    )]
    UnknownDevice {
        /// The text.
        device: String,
    },

    /// The device's backend was not compiled in.
    #[error(
        "the device `{device}` needs the cargo feature `{feature}`: build with `--features {feature}`"
    )]
    DeviceNotCompiled {
        /// The device asked for.
        device: String,
        /// The feature that brings it.
        feature: &'static str,
    },

    /// The backend is compiled in, but this machine has no such device.
    #[error(
        "the device `{device}` does not exist on this machine: its backend finds {found} device(s); install the device's driver, or use another device, such as \"cpu\"{}", if device.starts_with("webgpu") { " (WebGPU is the browser's; elsewhere use \"wgpu\")" } else { "" }
    )]
    DeviceNotFound {
        /// The device asked for.
        device: String,
        /// How many devices the backend finds.
        found: usize,
    },

    /// The device is there, but its driver does not open it.
    #[error("the device `{device}` cannot be used: {reason}; use another device, such as \"cpu\"")]
    DeviceUnavailable {
        /// The device asked for.
        device: String,
        /// What its driver says.
        reason: String,
    },

    /// The device has no memory left.
    #[error(
        "the device {device} has no memory left ({reason}); use a smaller batch, shorter texts, 16-bit floats or gradient checkpointing, or another device"
    )]
    DeviceOutOfMemory {
        /// The device.
        device: String,
        /// What its driver says.
        reason: String,
    },

    /// The device was reset or taken away; nothing that was on it can be read.
    #[error(
        "the device {device} was lost ({reason}); start the program again, or use another device"
    )]
    DeviceLost {
        /// The device.
        device: String,
        /// What its driver says.
        reason: String,
    },

    /// The device could not compute something.
    #[error(
        "the device {device} failed: {reason}; use another device, or report this with the output of `cargo xtask devices`"
    )]
    DeviceFailed {
        /// The device.
        device: String,
        /// What it says.
        reason: String,
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

    /// The device cannot compute in this float type.
    #[error(
        "the device {device} does not compute in {dtype}; use 32-bit floats, another 16-bit type, or another device"
    )]
    UnsupportedFloatType {
        /// The device.
        device: String,
        /// The float type.
        dtype: String,
    },
}
