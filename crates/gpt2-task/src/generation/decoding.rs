//! Batch of rows that a search fills with tokens, position by position.

use gpt2_kernels::TokenChoice;
use gpt2_tokenizer::TokenId;

use super::device_step::fill::fill_on_device;
use super::draw::{Draw, DrawSource};
use super::logits_processor::LogitsProcessors;
use super::matrix::Matrix;
use super::next_token::NextToken;
use super::rows::{OnToken, Rows};
use super::top_tokens::{TokenProbability, top_tokens_of_logits};
use crate::error::TaskError;

/// State of a search: the model, and the partly filled rows.
pub struct Decoding<'a> {
    model: &'a mut dyn NextToken,
    processors: LogitsProcessors,
    rows: Rows<'a>,
    draws: DrawSource,
}

/// A search's result.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// Filled rows, with their original width.
    pub rows: Vec<Vec<TokenId>>,
    /// Number of real tokens in every row: up to and including its stop token, or all filled ones.
    pub lengths: Vec<usize>,
    /// All answers of a search that keeps several, the best first. None for other searches.
    pub beams: Option<Vec<Vec<Beam>>>,
}

/// Answer of a beam search.
#[derive(Debug, Clone, PartialEq)]
pub struct Beam {
    /// Whole row, including prompt and padding.
    pub token_ids: Vec<TokenId>,
    /// Number of real tokens in the row: up to and including its stop token, or all filled ones.
    pub length: usize,
    /// Sum of the log probabilities of its tokens.
    pub log_probability: f32,
}

impl<'a> Decoding<'a> {
    /// Starts after the shortest prompt. The rest of longer prompts is fed token by token.
    ///
    /// Use it for a search over your own [`NextToken`]; [`Gpt2CausalLm::generate`] makes the one
    /// over the model. All `rows` have one width, and each has a prompt length.
    ///
    /// # Panics
    ///
    /// If there are no rows, or a prompt is empty.
    ///
    /// [`Gpt2CausalLm::generate`]: crate::Gpt2CausalLm::generate
    pub fn new(
        model: &'a mut dyn NextToken,
        rows: Vec<Vec<TokenId>>,
        prompt_lengths: Vec<usize>,
        stop_token_ids: &'a [TokenId],
        draws: DrawSource,
        on_token: &'a mut OnToken<'a>,
    ) -> Self {
        let vocabulary_size = model.vocabulary_size();
        let rows = Rows::new(rows, prompt_lengths, vocabulary_size, stop_token_ids, on_token);
        Self { model, processors: LogitsProcessors::new(), rows, draws }
    }

    /// Sets the processors that change the model's logits before the search. Default: none.
    #[must_use]
    pub fn with_logits_processors(mut self, processors: LogitsProcessors) -> Self {
        self.processors = processors;
        self
    }

    /// Next position to fill.
    pub fn index(&self) -> usize {
        self.rows.index()
    }

    /// Rows, filled up to [`index`](Self::index). Longer prompts extend beyond it.
    pub fn rows(&self) -> &[Vec<TokenId>] {
        self.rows.tokens()
    }

    /// Whether position `index` of a row belongs to its prompt and is not chosen.
    pub fn is_forced(&self, row: usize) -> bool {
        self.rows.prompt_token(row, self.index()).is_some()
    }

    /// Number of tokens that may be chosen: those of the tokenizer, or those of the model if there
    /// is no tokenizer.
    pub fn vocabulary_size(&self) -> usize {
        self.model.vocabulary_size()
    }

    /// Whether all rows are full or have a stop token after their prompt, or the caller has ended
    /// the generation.
    pub fn is_done(&self) -> bool {
        self.rows.is_done()
    }

    /// Logits for the next position, after the processors.
    ///
    /// # Errors
    ///
    /// Those of the model, [`TaskError::NonFiniteLogits`], and [`TaskError::NoTokenAllowed`].
    pub fn next_logits(&mut self) -> Result<Matrix, TaskError> {
        self.logits_at(self.index())
    }

    /// The `k` most probable tokens for the next position of every row, the most probable first. A
    /// row has fewer if the processors allow fewer.
    ///
    /// # Errors
    ///
    /// Those of [`next_logits`](Self::next_logits).
    pub fn top_tokens(
        &mut self,
        k: usize,
        temperature: f32,
    ) -> Result<Vec<Vec<TokenProbability>>, TaskError> {
        self.top_tokens_at(self.index(), k, temperature)
    }

    /// [`top_tokens`](Self::top_tokens) for a later position. The caller has filled the rows up to
    /// it.
    pub(crate) fn top_tokens_at(
        &mut self,
        position: usize,
        k: usize,
        temperature: f32,
    ) -> Result<Vec<Vec<TokenProbability>>, TaskError> {
        let vocabulary_size = self.vocabulary_size();
        if self.processors.is_empty()
            && let Some(device) = self.model.on_device()
        {
            let k = k.min(vocabulary_size);
            return device.top_tokens(self.rows.tokens(), position, k, temperature);
        }
        Ok(top_tokens_of_logits(self.logits_at(position)?, k, temperature))
    }

    fn logits_at(&mut self, position: usize) -> Result<Matrix, TaskError> {
        let rows = self.rows.tokens();
        self.processors.apply(rows, position, self.model.next(rows, position)?)
    }

    /// The model's [`hidden_states`](NextToken::hidden_states).
    ///
    /// # Errors
    ///
    /// Those of the model.
    pub fn hidden_states(&mut self) -> Result<Matrix, TaskError> {
        self.model.hidden_states()
    }

    /// Random numbers for the next position.
    pub fn draw(&self, row: usize) -> Draw {
        self.draws.draw(row, self.index())
    }

    /// Fills the rows with tokens that the model chooses on its device, one step ahead of the host.
    ///
    /// Does nothing and returns false if the model's device cannot choose tokens, or if there are
    /// logits processors.
    ///
    /// # Errors
    ///
    /// Those of the model, and [`TaskError::NonFiniteLogits`].
    pub fn fill_on_device(&mut self, choice: TokenChoice) -> Result<bool, TaskError> {
        let vocabulary_size = self.vocabulary_size();
        match self.model.on_device() {
            Some(device) if self.processors.is_empty() => {
                fill_on_device(device, &mut self.rows, vocabulary_size, choice, self.draws)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Writes a token for every row, but keeps prompt tokens. Does not advance the position.
    ///
    /// # Errors
    ///
    /// [`TaskError::SampledOutOfRange`].
    pub fn write(&mut self, tokens: &[TokenId]) -> Result<(), TaskError> {
        self.rows.write(tokens)
    }

    /// Advances to the next position.
    pub fn advance(&mut self) {
        self.rows.advance();
    }

    /// Reports the tokens at the last position, which are final, to the caller.
    pub fn announce(&mut self) {
        self.rows.announce();
    }

    /// Reports all tokens after the prompts to the caller, for a search that decides at its end.
    pub(crate) fn announce_all(&mut self) {
        self.rows.announce_all();
    }

    /// Makes row `i` a copy of the former row `rows[i]`, in the model too.
    pub fn select_rows(&mut self, rows: &[usize]) {
        self.model.select_rows(rows);
        self.rows.select(rows);
    }

    /// Number of real tokens in a row: up to and including its stop token, or all filled ones.
    pub(crate) fn length(&self, row: usize) -> usize {
        self.rows.length(row)
    }

    /// Result with the rows and the beams that the search returned.
    pub fn finish(self, beams: Option<Vec<Vec<Beam>>>) -> Decoded {
        let lengths = (0..self.rows.count()).map(|row| self.rows.length(row)).collect();
        Decoded { rows: self.rows.into_tokens(), lengths, beams }
    }
}
