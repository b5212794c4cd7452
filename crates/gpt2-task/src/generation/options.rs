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
    /// Length of the whole text in tokens, start token and prompt included. Default: the
    /// preprocessor's `sequence_length`, or what the model can take if that is less.
    pub max_length: Option<usize>,
    /// Tokens that end a text before that.
    pub stop_token_ids: StopTokenIds,
    /// Whether the text is returned without its prompt.
    pub strip_prompt: bool,
    /// End at which a prompt longer than `max_length` is cut. Default: none, it is an error.
    pub truncate: Option<Truncate>,
    /// Changes of the logits, which every sampler obeys. Default: none.
    pub logits_processors: LogitsProcessors,
    /// Seed of the random numbers of this call, whatever was generated before. Default: the
    /// sampler's seed, and the number of generations since the model was compiled.
    pub seed: Option<u64>,
    /// Whether ids may be chosen that have no token in the tokenizer, as in KerasHub. Texts leave
    /// them out. Default: false.
    pub ids_without_token: bool,
}

/// Tokens that end a text. Generation ends when every row has one of them after its prompt.
///
/// As text: `auto`, `none`, or ids between commas.
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
    /// Nothing: every text has the full length.
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

    /// Sets the length of the whole text in tokens.
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

    /// Sets the end at which a prompt that is too long is cut.
    #[must_use]
    pub fn with_truncate(mut self, truncate: Truncate) -> Self {
        self.truncate = Some(truncate);
        self
    }

    /// Sets the seed of this call, so that its answer depends on no other call.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Sets whether ids may be chosen that have no token in the tokenizer, as in KerasHub. A model
    /// may have more ids than its tokenizer has tokens, such as 50304 for 50257.
    #[must_use]
    pub fn with_ids_without_token(mut self, ids_without_token: bool) -> Self {
        self.ids_without_token = ids_without_token;
        self
    }

    /// Sets the changes of the logits.
    #[must_use]
    pub fn with_logits_processors(mut self, logits_processors: LogitsProcessors) -> Self {
        self.logits_processors = logits_processors;
        self
    }
}
