//! Options of a generation.

use gpt2_tokenizer::TokenId;

use super::logits_processor::LogitsProcessors;
use crate::causal_lm_preprocessor::Truncate;

/// Options of [`Gpt2CausalLm::generate`](crate::Gpt2CausalLm::generate), with KerasHub's defaults.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
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
}

/// Tokens that end a text. Generation ends when every row has one of them after its prompt.
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

impl GenerateOptions {
    /// KerasHub's defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the length of the whole text in tokens.
    pub fn with_max_length(mut self, max_length: usize) -> Self {
        self.max_length = Some(max_length);
        self
    }

    /// Sets the tokens that end a text.
    pub fn with_stop_token_ids(mut self, stop_token_ids: StopTokenIds) -> Self {
        self.stop_token_ids = stop_token_ids;
        self
    }

    /// Sets whether the text is returned without its prompt.
    pub fn with_strip_prompt(mut self, strip_prompt: bool) -> Self {
        self.strip_prompt = strip_prompt;
        self
    }

    /// Sets the end at which a prompt that is too long is cut.
    pub fn with_truncate(mut self, truncate: Truncate) -> Self {
        self.truncate = Some(truncate);
        self
    }

    /// Sets the changes of the logits.
    pub fn with_logits_processors(mut self, logits_processors: LogitsProcessors) -> Self {
        self.logits_processors = logits_processors;
        self
    }
}
