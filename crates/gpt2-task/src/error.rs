//! Errors of the task: generation, scoring and training.

use gpt2_backbone::{BackboneError, DeviceError};
use gpt2_tokenizer::{TokenId, TokenizerError};

/// Error of a callback or a store whose type this crate does not know.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Error of this crate. The message names the refused input, the expected and found values, and the
/// remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TaskError {
    /// Text was given to a model without a preprocessor.
    #[error(
        "`{operation}` on text needs a preprocessor and this model has none; attach one with `set_preprocessor`, or pass token ids"
    )]
    NoPreprocessor {
        /// Called method.
        operation: &'static str,
    },

    /// `StopTokenIds::Auto` without a preprocessor to take the end token from.
    #[error(
        "A `preprocessor` must be attached to the model if `stop_token_ids` is `Auto`; pass `StopTokenIds::None` to generate up to the full length, or `StopTokenIds::Ids`"
    )]
    AutoStopWithoutPreprocessor,

    /// `max_length` was given with token ids, whose width already determines it.
    #[error(
        "`max_length` ({max_length}) has no effect on token ids: pad them to the wanted length (found {found}) and leave `max_length` out"
    )]
    MaxLengthWithTokenIds {
        /// Given option.
        max_length: usize,
        /// Width of the token ids.
        found: usize,
    },

    /// The batch has no rows.
    #[error("`{name}` is an empty batch; pass at least one row")]
    EmptyBatch {
        /// Name of the argument.
        name: &'static str,
    },

    /// A prompt has no tokens, so that nothing can be predicted from it.
    #[error(
        "prompt {row} has no tokens; give it at least one, or set `add_start_token` to true in the preprocessor"
    )]
    EmptyPrompt {
        /// Row of the batch.
        row: usize,
    },

    /// A prompt has more tokens than `max_length`.
    #[error(
        "prompt {row} has {tokens} tokens, more than the `max_length` of {max_length}; raise `max_length`, shorten the prompt, or set `truncate`"
    )]
    PromptTooLong {
        /// Row of the batch.
        row: usize,
        /// Tokens of the prompt, including the start token.
        tokens: usize,
        /// Maximum length in tokens.
        max_length: usize,
    },

    /// A length is 0 or exceeds the limit.
    #[error("`{name}` must be between 1 and {limit}, found {found}")]
    InvalidLength {
        /// Name of the argument.
        name: &'static str,
        /// Given value.
        found: usize,
        /// Largest accepted value: in generation the model's `max_sequence_length`.
        limit: usize,
    },

    /// `sequence_length` leaves no room for text beside the start and end tokens.
    #[error(
        "`sequence_length` is {found}, but start and end tokens alone need {special}; raise it above {special}"
    )]
    SequenceLengthTooShort {
        /// Given value.
        found: usize,
        /// Number of tokens added to every text.
        special: usize,
    },

    /// The list of stop ids is empty.
    #[error(
        "`stop_token_ids` is empty; pass `StopTokenIds::None` to generate up to the full length"
    )]
    EmptyStopTokenIds,

    /// A token id is outside the model's vocabulary.
    #[error(
        "`{name}` holds the token id {token_id} (row {row}, position {position}), but the vocabulary has {vocabulary_size} tokens; encode the text with the model's own tokenizer"
    )]
    TokenOutOfRange {
        /// Name of the argument.
        name: &'static str,
        /// Row of the id.
        row: usize,
        /// Position in the row.
        position: usize,
        /// Id outside the vocabulary.
        token_id: TokenId,
        /// Size of the model's vocabulary.
        vocabulary_size: usize,
    },

    /// The tokenizer has ids that the model does not have.
    #[error(
        "the tokenizer gives ids up to {max_token_id}, but the model's vocabulary has {vocabulary_size} tokens; use the model's own tokenizer"
    )]
    VocabularyMismatch {
        /// Largest id of the tokenizer.
        max_token_id: TokenId,
        /// Size of the model's vocabulary.
        vocabulary_size: usize,
    },

    /// A row of an argument has the wrong length.
    #[error("`{name}` must have {expected} entries in row {row}, found {found}")]
    RowLength {
        /// Name of the argument.
        name: &'static str,
        /// Row of the argument.
        row: usize,
        /// Length of the other rows, or of the corresponding row in another argument.
        expected: usize,
        /// Length of the row.
        found: usize,
    },

    /// An argument has the wrong number of rows.
    #[error("`{name}` must have {expected} rows, found {found}")]
    BatchSize {
        /// Name of the argument.
        name: &'static str,
        /// Number of rows of the corresponding argument.
        expected: usize,
        /// Number of rows.
        found: usize,
    },

    /// A prompt is not right-padded.
    #[error(
        "row {row} of `padding_mask` is not right-padded: generation needs all true entries first, then all false ones"
    )]
    NotRightPadded {
        /// Row of the batch.
        row: usize,
    },

    /// A sampler's argument is out of range.
    #[error("sampler `{sampler}`: `{argument}` must be {expected}, found {found}")]
    InvalidSamplerArgument {
        /// Name of the sampler.
        sampler: &'static str,
        /// Name of the argument.
        argument: &'static str,
        /// Accepted values.
        expected: String,
        /// Given value.
        found: String,
    },

    /// A text is not a sampler, an optimizer or a schedule with its arguments.
    #[error("{kind} `{name}`: {reason}")]
    InvalidChoice {
        /// `sampler`, `optimizer` or `schedule`.
        kind: &'static str,
        /// Name in the text.
        name: String,
        /// Fault, and the accepted values.
        reason: String,
    },

    /// A text is not a value of the expected kind.
    #[error("cannot parse {what} `{found}`, expected {expected}")]
    InvalidText {
        /// Name of the value.
        what: &'static str,
        /// Accepted texts.
        expected: &'static str,
        /// Given text.
        found: String,
    },

    /// A user-defined sampler returned an id outside the vocabulary.
    #[error(
        "the sampler chose token {token_id}, expected an id below {vocabulary_size}; correct the sampler"
    )]
    SampledOutOfRange {
        /// Id that the sampler returned.
        token_id: TokenId,
        /// Size of the model's vocabulary.
        vocabulary_size: usize,
    },

    /// The model computed NaN or infinite logits.
    #[error(
        "non-finite logits for position {position} of row {row}; the weights are damaged, or overflow in this float type"
    )]
    NonFiniteLogits {
        /// Row of the logits.
        row: usize,
        /// Position of the token to choose.
        position: usize,
    },

    /// Logits processors forbid all tokens of a row, or set NaN or positive infinity.
    #[error(
        "the logits processors allow no token for position {position} of row {row}, expected at least one finite logit and none that is NaN or infinity"
    )]
    NoTokenAllowed {
        /// Row of the logits.
        row: usize,
        /// Position of the token to choose.
        position: usize,
    },

    /// The weight of a training example is negative or not finite.
    #[error(
        "`sample_weight` must hold finite, non-negative numbers, found {found} (row {row}, position {position})"
    )]
    InvalidSampleWeight {
        /// Row of the weight.
        row: usize,
        /// Position in the row.
        position: usize,
        /// Given weight.
        found: f32,
    },

    /// An argument of an optimizer, a schedule, a callback or `fit` is out of range.
    #[error("`{owner}`: `{argument}` must be {expected}, found {found}")]
    InvalidTrainingArgument {
        /// Name of the optimizer, schedule, callback or function that has the argument.
        owner: String,
        /// Name of the argument.
        argument: &'static str,
        /// Accepted values.
        expected: String,
        /// Given value.
        found: String,
    },

    /// The data have no examples.
    #[error("the {name} have no examples; pass at least one")]
    EmptyTrainingData {
        /// Kind of the data.
        name: &'static str,
    },

    /// Every parameter is frozen.
    #[error("no parameter is trainable: unfreeze some with `set_trainable`, or enable LoRA")]
    NothingToTrain,

    /// The weights have too few bits for small updates.
    #[error(
        "the weights are {dtype}, which would lose most updates: load the model in 32-bit floats, and compile it with mixed precision to compute in 16 bits"
    )]
    NarrowWeights {
        /// Float type of the weights.
        dtype: String,
    },

    /// The loss became NaN or infinite.
    #[error(
        "the loss of epoch {epoch}, batch {batch} is {loss}: lower the learning rate or clip the gradients; existing checkpoints precede the failure"
    )]
    NonFiniteLoss {
        /// Epoch, from 0.
        epoch: usize,
        /// Batch in the epoch, from 0.
        batch: usize,
        /// Value of the loss.
        loss: f64,
    },

    /// An update produced NaN or infinite weights.
    #[error(
        "step {step} produced non-finite weights: lower the learning rate or clip the gradients; existing checkpoints precede the failure"
    )]
    NonFiniteWeights {
        /// Optimizer steps so far.
        step: u64,
    },

    /// A callback interrupted the training. The checkpoint, if there is a store, is of this step.
    #[error("the training was interrupted after step {step}; resume it with the same settings")]
    Interrupted {
        /// Optimizer steps so far.
        step: u64,
    },

    /// A checkpoint belongs to another training.
    #[error(
        "the checkpoint does not belong to this training: {what}; train with the same settings, or remove the checkpoint to start anew"
    )]
    ResumeMismatch {
        /// Difference between the trainings.
        what: String,
    },

    /// A checkpoint cannot be written, read or removed.
    #[error("cannot write, read or remove the checkpoint of the training")]
    Checkpoint(#[source] BoxError),

    /// The training data cannot be read.
    #[error("cannot read the training data")]
    Data(#[source] BoxError),

    /// A callback failed and ended the training.
    #[error("the callback `{name}` ended the training")]
    Callback {
        /// Name of the callback.
        name: String,
        /// Error of the callback.
        source: BoxError,
    },

    /// Error of the tokenizer.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),

    /// Error of the model.
    #[error(transparent)]
    Backbone(#[from] BackboneError),
}

impl TaskError {
    pub(crate) fn invalid_text(what: &'static str, expected: &'static str, found: &str) -> Self {
        Self::InvalidText { what, expected, found: found.to_owned() }
    }
}

impl From<DeviceError> for TaskError {
    fn from(error: DeviceError) -> Self {
        Self::Backbone(error.into())
    }
}
