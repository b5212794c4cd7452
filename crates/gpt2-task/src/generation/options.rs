//! Options of a generation.

use std::str::FromStr;

use gpt2_tokenizer::TokenId;

use super::logits_processor::LogitsProcessors;
use crate::causal_lm_preprocessor::Truncate;
use crate::error::TaskError;

/// Options of [`Gpt2CausalLm::generate`](crate::Gpt2CausalLm::generate), with KerasHub's defaults.
///
/// ```
/// use gpt2_task::GenerateOptions;
///
/// let options = GenerateOptions::new().with_max_length(30).with_seed(7);
/// assert_eq!(options.max_length, Some(30));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct GenerateOptions {
    /// Maximum length of the whole text in tokens, including start token and prompt. Default: the
    /// preprocessor's `sequence_length`, or the model's `max_sequence_length` if that is smaller.
    pub max_length: Option<usize>,
    /// Tokens that end a text before its maximum length. Default: [`StopTokenIds::Auto`].
    pub stop_token_ids: StopTokenIds,
    /// Whether the text is returned without its prompt. Default: false.
    pub strip_prompt: bool,
    /// Side on which a prompt longer than `max_length` is truncated. Default: none, such a prompt
    /// is an error.
    pub truncate: Option<Truncate>,
    /// Processors that change the logits before any sampler. Default: none.
    pub logits_processors: LogitsProcessors,
    /// Seed of this call's random numbers, independent of earlier calls. Default: the sampler's
    /// seed and the number of generations since the model was compiled.
    pub seed: Option<u64>,
    /// Whether ids without a token in the tokenizer may be chosen, as in KerasHub. The returned
    /// texts omit them. Default: false.
    pub ids_without_token: bool,
}

/// Tokens that end a text. Generation ends when every row has one of them after its prompt.
///
/// As text: `auto`, `none`, or comma-separated ids.
///
/// ```
/// use gpt2_task::StopTokenIds;
///
/// assert_eq!("198,50256".parse::<StopTokenIds>()?, StopTokenIds::Ids(vec![198, 50256]));
/// assert_eq!("none".parse::<StopTokenIds>()?, StopTokenIds::None);
/// # Ok::<(), gpt2_task::TaskError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum StopTokenIds {
    /// The tokenizer's end token.
    #[default]
    Auto,
    /// No tokens: every text has the full length.
    None,
    /// Any of these tokens.
    Ids(Vec<TokenId>),
}

impl FromStr for StopTokenIds {
    type Err = TaskError;

    fn from_str(text: &str) -> Result<Self, TaskError> {
        match text {
            "auto" => return Ok(Self::Auto),
            "none" => return Ok(Self::None),
            _ => {}
        }
        let ids = text.split(',').map(|id| id.trim().parse());
        let expected = "`auto`, `none`, or ids such as `198,50256`";
        let invalid = |_| TaskError::invalid_text("the stop tokens", expected, text);
        ids.collect::<Result<_, std::num::ParseIntError>>().map(Self::Ids).map_err(invalid)
    }
}

impl From<Vec<TokenId>> for StopTokenIds {
    fn from(ids: Vec<TokenId>) -> Self {
        Self::Ids(ids)
    }
}

impl<const N: usize> From<[TokenId; N]> for StopTokenIds {
    fn from(ids: [TokenId; N]) -> Self {
        Self::Ids(ids.to_vec())
    }
}

impl GenerateOptions {
    /// KerasHub's defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the maximum length of the whole text in tokens.
    #[must_use]
    pub fn with_max_length(mut self, max_length: usize) -> Self {
        self.max_length = Some(max_length);
        self
    }

    /// Sets the tokens that end a text: [`StopTokenIds`], or a list of ids.
    #[must_use]
    pub fn with_stop_token_ids(mut self, stop_token_ids: impl Into<StopTokenIds>) -> Self {
        self.stop_token_ids = stop_token_ids.into();
        self
    }

    /// Sets whether the text is returned without its prompt.
    #[must_use]
    pub fn with_strip_prompt(mut self, strip_prompt: bool) -> Self {
        self.strip_prompt = strip_prompt;
        self
    }

    /// Sets the side on which a prompt that is too long is truncated.
    #[must_use]
    pub fn with_truncate(mut self, truncate: Truncate) -> Self {
        self.truncate = Some(truncate);
        self
    }

    /// Sets the seed of this call, so that its answer does not depend on other calls.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Sets whether ids without a token in the tokenizer may be chosen, as in KerasHub. A model may
    /// have more ids than its tokenizer has tokens, for example 50304 for 50257.
    #[must_use]
    pub fn with_ids_without_token(mut self, ids_without_token: bool) -> Self {
        self.ids_without_token = ids_without_token;
        self
    }

    /// Sets the processors that change the logits.
    #[must_use]
    pub fn with_logits_processors(mut self, logits_processors: LogitsProcessors) -> Self {
        self.logits_processors = logits_processors;
        self
    }
}
