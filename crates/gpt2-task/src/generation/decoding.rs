//! A batch of rows that a search fills with tokens, position by position.

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

/// State of a search: the model, and the rows with how far they are filled.
pub struct Decoding<'a> {
    model: &'a mut dyn NextToken,
    processors: LogitsProcessors,
    rows: Rows<'a>,
    draws: DrawSource,
}

/// A search's result.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// The rows, as long as they were at the start.
    pub rows: Vec<Vec<TokenId>>,
    /// Real tokens of every row: up to its stop token, or all.
    pub lengths: Vec<usize>,
    /// All answers of a search that keeps several, the best first. Default: none.
    pub beams: Option<Vec<Vec<Beam>>>,
}

/// One of the answers of a beam search.
#[derive(Debug, Clone, PartialEq)]
pub struct Beam {
    /// The whole row, prompt and padding included.
    pub token_ids: Vec<TokenId>,
    /// Real tokens of the row: up to its stop token, or all.
    pub length: usize,
    /// Sum of the log probabilities of its tokens.
    pub log_probability: f32,
}

impl<'a> Decoding<'a> {
    /// Starts after the shortest prompt: longer ones are fed token by token until they end.
    ///
    /// For a search over a [`NextToken`] of one's own; [`Gpt2CausalLm::generate`] makes the one
    /// over the model. All `rows` have one width, and a prompt length each.
    ///
    /// # Panics
    ///
    /// If there is no row, or a prompt is empty.
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

    /// Sets what changes the model's logits before the search sees them. Default: nothing.
    #[must_use]
    pub fn with_logits_processors(mut self, processors: LogitsProcessors) -> Self {
        self.processors = processors;
        self
    }

    /// Position that is filled next.
    pub fn index(&self) -> usize {
        self.rows.index()
    }

    /// The rows, filled up to [`index`](Self::index), and with their prompts beyond it.
    pub fn rows(&self) -> &[Vec<TokenId>] {
        self.rows.tokens()
    }

    /// Whether position `index` of a row belongs to its prompt and cannot be chosen.
    pub fn is_forced(&self, row: usize) -> bool {
        self.rows.prompt_token(row, self.index()).is_some()
    }

    /// Number of tokens that may be chosen: those of the tokenizer, or of the model without one.
    pub fn vocabulary_size(&self) -> usize {
        self.model.vocabulary_size()
    }

    /// Whether all rows are full or have a stop token of their own, or the caller has enough.
    pub fn is_done(&self) -> bool {
        self.rows.is_done()
    }

    /// Logits for the position that is filled next, after the processors.
    ///
    /// # Errors
    ///
    /// The model's, [`TaskError::NonFiniteLogits`], and [`TaskError::NoTokenAllowed`].
    pub fn next_logits(&mut self) -> Result<Matrix, TaskError> {
        self.logits_at(self.index())
    }

    /// The `k` most probable tokens for the position that is filled next, of every row, the most
    /// probable first. A row has fewer if the processors allow fewer.
    ///
    /// # Errors
    ///
    /// As [`next_logits`](Self::next_logits).
    pub fn top_tokens(
        &mut self,
        k: usize,
        temperature: f32,
    ) -> Result<Vec<Vec<TokenProbability>>, TaskError> {
        self.top_tokens_at(self.index(), k, temperature)
    }

    /// [`top_tokens`](Self::top_tokens) of a later position, up to which the caller has filled the
    /// rows.
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
    /// The model's.
    pub fn hidden_states(&mut self) -> Result<Matrix, TaskError> {
        self.model.hidden_states()
    }

    /// Random numbers for the position that is filled next.
    pub fn draw(&self, row: usize) -> Draw {
        self.draws.draw(row, self.index())
    }

    /// Fills the rows by tokens that the model chooses on its device, one step ahead of the host.
    /// False, and nothing is done, if the model has no device that does, or if there are logits
    /// processors.
    ///
    /// # Errors
    ///
    /// The model's, and [`TaskError::NonFiniteLogits`].
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

    /// Writes a token for every row; a prompt's own tokens stay. Does not move on.
    ///
    /// # Errors
    ///
    /// [`TaskError::SampledOutOfRange`].
    pub fn write(&mut self, tokens: &[TokenId]) -> Result<(), TaskError> {
        self.rows.write(tokens)
    }

    /// Moves on to the next position.
    pub fn advance(&mut self) {
        self.rows.advance();
    }

    /// Tells the caller about the tokens at the last position, which are final.
    pub fn announce(&mut self) {
        self.rows.announce();
    }

    /// Tells the caller about all tokens after the prompts, for a search that decides at its end.
    pub(crate) fn announce_all(&mut self) {
        self.rows.announce_all();
    }

    /// Makes row `i` a copy of the former row `rows[i]`, in the model too.
    pub fn select_rows(&mut self, rows: &[usize]) {
        self.model.select_rows(rows);
        self.rows.select(rows);
    }

    /// Real tokens of a row: up to its stop token, or all.
    pub(crate) fn length(&self, row: usize) -> usize {
        self.rows.length(row)
    }

    /// The rows as they are, with the beams that the search returned.
    pub fn finish(self, beams: Option<Vec<Vec<Beam>>>) -> Decoded {
        let lengths = (0..self.rows.count()).map(|row| self.rows.length(row)).collect();
        Decoded { rows: self.rows.into_tokens(), lengths, beams }
    }
}
