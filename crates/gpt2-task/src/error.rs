//! Errors between text in and text out.

use gpt2_backbone::{BackboneError, DeviceError};
use gpt2_tokenizer::{TokenId, TokenizerError};

/// Any error of a callback or a store that this crate does not know.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Error of this crate: the input refused, what was expected, what was found, and the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TaskError {
    /// Text was given to a model without a preprocessor.
    #[error(
        "`{operation}` on text needs a preprocessor and this model has none; attach one with `set_preprocessor`, or pass token ids"
    )]
    NoPreprocessor {
        /// The method called.
        operation: &'static str,
    },

    /// `StopTokenIds::Auto` without a preprocessor to take the end token from.
    #[error(
        "A `preprocessor` must be attached to the model if `stop_token_ids` is `Auto`; pass `StopTokenIds::None` to generate up to the full length, or `StopTokenIds::Ids`"
    )]
    AutoStopWithoutPreprocessor,

    /// `max_length` was given with token ids, whose width already says it.
    #[error(
        "`max_length` ({max_length}) has no effect on token ids: pad them to the length that you want (found {found}) and leave `max_length` out"
    )]
    MaxLengthWithTokenIds {
        /// The option given.
        max_length: usize,
        /// The width of the token ids.
        found: usize,
    },

    /// No rows.
    #[error("`{name}` is an empty batch; pass at least one row")]
    EmptyBatch {
        /// The argument.
        name: &'static str,
    },

    /// A row without a token, from which nothing can be predicted.
    #[error(
        "prompt {row} has no tokens; give it at least one, or set `add_start_token` to true in the preprocessor"
    )]
    EmptyPrompt {
        /// Which row of the batch.
        row: usize,
    },

    /// A prompt that does not fit.
    #[error(
        "prompt {row} has {tokens} tokens, more than the `max_length` of {max_length}; raise `max_length`, shorten the prompt, or set `truncate`"
    )]
    PromptTooLong {
        /// Which row of the batch.
        row: usize,
        /// Its tokens, the start token included.
        tokens: usize,
        /// The limit.
        max_length: usize,
    },

    /// A length that the model cannot have.
    #[error("`{name}` must be between 1 and {limit}, found {found}")]
    InvalidLength {
        /// The argument.
        name: &'static str,
        /// Value that was given.
        found: usize,
        /// The most that is accepted: in generation the model's `max_sequence_length`.
        limit: usize,
    },

    /// A length too short for the tokens that are added to every text.
    #[error(
        "`sequence_length` is {found}, but start and end tokens alone need {special}; raise it to more than that"
    )]
    SequenceLengthTooShort {
        /// Value that was given.
        found: usize,
        /// Tokens added to every text.
        special: usize,
    },

    /// An empty list of stop ids.
    #[error(
        "`stop_token_ids` is empty; pass `StopTokenIds::None` to generate up to the full length"
    )]
    EmptyStopTokenIds,

    /// A token id that the model does not have.
    #[error(
        "`{name}` holds the token id {token_id} (row {row}, position {position}), but the vocabulary has {vocabulary_size} tokens; was the text encoded with another tokenizer?"
    )]
    TokenOutOfRange {
        /// The argument.
        name: &'static str,
        /// The row.
        row: usize,
        /// The position in the row.
        position: usize,
        /// The id.
        token_id: TokenId,
        /// The model's vocabulary.
        vocabulary_size: usize,
    },

    /// The tokenizer can give ids that the model does not have.
    #[error(
        "the tokenizer gives ids up to {max_token_id}, but the model's vocabulary has {vocabulary_size} tokens; they do not belong together"
    )]
    VocabularyMismatch {
        /// The tokenizer's largest id.
        max_token_id: TokenId,
        /// The model's vocabulary.
        vocabulary_size: usize,
    },

    /// Arguments whose shapes differ.
    #[error("`{name}` must have {expected} entries in row {row}, found {found}")]
    RowLength {
        /// The argument.
        name: &'static str,
        /// The row.
        row: usize,
        /// The length of the other rows, or of the argument it belongs to.
        expected: usize,
        /// Its length.
        found: usize,
    },

    /// Arguments of different batch sizes.
    #[error("`{name}` must have {expected} rows, found {found}")]
    BatchSize {
        /// The argument.
        name: &'static str,
        /// Rows of the argument it belongs to.
        expected: usize,
        /// Its rows.
        found: usize,
    },

    /// Generation needs the prompt at the left and the padding at the right.
    #[error(
        "row {row} of `padding_mask` is not right-padded: generation needs all true entries first, then all false ones"
    )]
    NotRightPadded {
        /// The row.
        row: usize,
    },

    /// A sampler's argument is out of range.
    #[error("sampler `{sampler}`: `{argument}` must be {expected}, found {found}")]
    InvalidSamplerArgument {
        /// The sampler's name.
        sampler: &'static str,
        /// The argument.
        argument: &'static str,
        /// Values that are accepted.
        expected: String,
        /// Value that was given.
        found: String,
    },

    /// The text does not name a sampler with its arguments.
    #[error(
        "sampler `{identifier}`: {reason}; write it as `name` or `name:argument=value,…`, such as `top_k:k=5,temperature=0.7`"
    )]
    InvalidSampler {
        /// The text.
        identifier: String,
        /// Fault, and the values that are accepted.
        reason: String,
    },

    /// The text does not stand for a value.
    #[error("cannot parse {what} `{found}`, expected {expected}")]
    InvalidText {
        /// The value's name.
        what: &'static str,
        /// The texts that are parsed.
        expected: &'static str,
        /// The text.
        found: String,
    },

    /// A sampler of the user's own returned a token that does not exist.
    #[error("the sampler chose token {token_id}, but the vocabulary has {vocabulary_size} tokens")]
    SampledOutOfRange {
        /// Token that it returned.
        token_id: TokenId,
        /// The model's vocabulary.
        vocabulary_size: usize,
    },

    /// The model computed NaN or an infinity.
    #[error(
        "non-finite logits for position {position} of row {row}; the weights are damaged, or overflow in this float type"
    )]
    NonFiniteLogits {
        /// The row.
        row: usize,
        /// The position that was to be filled.
        position: usize,
    },

    /// Logits processors left a row without a token, or with logits that are none.
    #[error(
        "the logits processors allow no token for position {position} of row {row}, expected at least one finite logit and none that is NaN or infinity"
    )]
    NoTokenAllowed {
        /// The row.
        row: usize,
        /// The position that was to be filled.
        position: usize,
    },

    /// A weight of a training example that cannot be one.
    #[error(
        "`sample_weight` must hold finite numbers that are not negative, found {found} (row {row}, position {position})"
    )]
    InvalidSampleWeight {
        /// The row.
        row: usize,
        /// The position in the row.
        position: usize,
        /// The weight.
        found: f32,
    },

    /// An argument of an optimizer, a schedule, a callback or `fit` is out of range.
    #[error("`{owner}`: `{argument}` must be {expected}, found {found}")]
    InvalidTrainingArgument {
        /// Owner of the argument.
        owner: String,
        /// The argument.
        argument: &'static str,
        /// Values that are accepted.
        expected: String,
        /// Value that was given.
        found: String,
    },

    /// Data without an example.
    #[error("the {name} have no examples; pass at least one")]
    EmptyTrainingData {
        /// Which data.
        name: &'static str,
    },

    /// Every parameter is frozen.
    #[error("no parameter is trainable: unfreeze some with `set_trainable`, or enable LoRA")]
    NothingToTrain,

    /// The weights have too few bits for the small steps of a training.
    #[error(
        "the weights are {dtype}, which would lose most updates: load the model in 32-bit floats, and compile it with a mixed precision to compute in 16 bits"
    )]
    NarrowWeights {
        /// Their float type.
        dtype: String,
    },

    /// The loss became NaN or infinite.
    #[error(
        "the loss of epoch {epoch}, batch {batch} is {loss}: lower the learning rate or clip the gradients; a checkpoint that is kept is from before"
    )]
    NonFiniteLoss {
        /// The epoch, counted from 0.
        epoch: usize,
        /// The batch, counted from 0 in its epoch.
        batch: usize,
        /// The loss.
        loss: f64,
    },

    /// An update made weights that are NaN or infinite.
    #[error(
        "step {step} made weights that are not finite numbers: lower the learning rate or clip the gradients; a checkpoint that is kept is from before"
    )]
    NonFiniteWeights {
        /// Steps of the optimizer so far.
        step: u64,
    },

    /// A callback interrupted the training. Its checkpoint, if there is a store, is of this step.
    #[error("the training was interrupted after step {step}; resume it with the same settings")]
    Interrupted {
        /// Steps of the optimizer so far.
        step: u64,
    },

    /// A checkpoint is of another training.
    #[error(
        "the checkpoint does not belong to this training: {what}; train with the same settings, or remove the checkpoint to begin anew"
    )]
    ResumeMismatch {
        /// Difference.
        what: String,
    },

    /// A checkpoint cannot be written, read or removed.
    #[error("cannot write, read or remove the checkpoint of the training")]
    Checkpoint(#[source] BoxError),

    /// The training data cannot be read.
    #[error("cannot read the training data")]
    Data(#[source] BoxError),

    /// A callback failed, and ended the training.
    #[error("the callback `{name}` ended the training")]
    Callback {
        /// The callback's name.
        name: String,
        /// Cause.
        source: BoxError,
    },

    /// From the tokenizer.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),

    /// From the model.
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
