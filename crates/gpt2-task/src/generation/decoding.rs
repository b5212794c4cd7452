//! A batch of rows that a search fills with tokens, position by position.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use gpt2_kernels::{StepPlan, TokenChoice};
use gpt2_tokenizer::TokenId;

use super::draw::Draw;
use super::next_token::{Matrix, NextToken, TokenProbability, TokenRequest, check_finite};
use crate::error::TaskError;

/// One token as it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenEvent {
    /// Its row in the batch.
    pub row: usize,
    /// Its position in the row, the start token and the prompt counted.
    pub position: usize,
    /// The token.
    pub token_id: TokenId,
}

/// Sees every token as it is made; `Break` ends the generation with what there is.
pub type OnToken<'a> = dyn FnMut(TokenEvent) -> ControlFlow<()> + 'a;

/// Where a generation's random numbers come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrawSource {
    /// The sampler's seed.
    pub seed: u64,
    /// The number of generations under this seed before this one.
    pub call: u32,
}

/// The state of a search: the rows, and how far they are filled.
pub struct Decoding<'a> {
    model: &'a mut dyn NextToken,
    rows: Vec<Vec<TokenId>>,
    prompt_lengths: Vec<usize>,
    stop_token_ids: &'a [TokenId],
    index: usize,
    draws: DrawSource,
    on_token: &'a mut OnToken<'a>,
    cancelled: bool,
}

/// A search's result.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// The rows, as long as they were at the start.
    pub rows: Vec<Vec<TokenId>>,
    /// Real tokens of every row: up to its stop token, or all.
    pub lengths: Vec<usize>,
    /// Where the search keeps several answers, all of them, the best first.
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
    /// Starts behind the shortest prompt: longer ones are fed token by token until they end.
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
        let index = prompt_lengths.iter().copied().min().expect("a batch has rows");
        assert!(index > 0, "a prompt has tokens");
        let cancelled = false;
        Self { model, rows, prompt_lengths, stop_token_ids, index, draws, on_token, cancelled }
    }

    /// The position that is filled next.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The rows, filled up to [`index`](Self::index), and with their prompts beyond it.
    pub fn rows(&self) -> &[Vec<TokenId>] {
        &self.rows
    }

    /// Whether position `index` of a row belongs to its prompt and cannot be chosen.
    pub fn is_forced(&self, row: usize) -> bool {
        self.index < self.prompt_lengths[row]
    }

    /// Number of tokens that the model knows.
    pub fn vocabulary_size(&self) -> usize {
        self.model.vocabulary_size()
    }

    /// Whether all rows are full or have a stop token of their own, or the caller has enough.
    pub fn is_done(&self) -> bool {
        self.cancelled
            || self.index >= self.rows[0].len()
            || (0..self.rows.len()).all(|row| self.stop_position(row).is_some())
    }

    /// Logits for the position that is filled next.
    ///
    /// # Errors
    ///
    /// The model's, and [`TaskError::NonFiniteLogits`].
    pub fn next_logits(&mut self) -> Result<Matrix, TaskError> {
        let logits = self.model.next(&self.rows, self.index)?;
        check_finite(&logits, self.index)?;
        Ok(logits)
    }

    /// The `k` most probable tokens for the position that is filled next, of every row, the best
    /// first.
    ///
    /// # Errors
    ///
    /// The model's, and [`TaskError::NonFiniteLogits`].
    pub fn best_next(
        &mut self,
        k: usize,
        temperature: f32,
    ) -> Result<Vec<Vec<TokenProbability>>, TaskError> {
        self.best_at(self.index, k, temperature)
    }

    /// The same for a later position, whose rows are filled by the caller up to there.
    pub(crate) fn best_at(
        &mut self,
        position: usize,
        k: usize,
        temperature: f32,
    ) -> Result<Vec<Vec<TokenProbability>>, TaskError> {
        self.model.best(&self.rows, position, k, temperature)
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
        self.draw_at(row, self.index)
    }

    fn draw_at(&self, row: usize, position: usize) -> Draw {
        Draw::new(self.draws.seed, self.draws.call, row as u32, position)
    }

    /// Fills the rows by tokens that the model chooses where its logits are; false, and nothing is
    /// done, if it does not. The model computes a token while the one before it is on its way here.
    ///
    /// # Errors
    ///
    /// The model's, and [`TaskError::NonFiniteLogits`].
    pub fn fill_by_choice(&mut self, choice: TokenChoice) -> Result<bool, TaskError> {
        if !self.model.chooses() {
            return Ok(false);
        }
        let (mut position, width) = (self.index, self.rows[0].len());
        let request = TokenRequest { choice, plan: self.plan(choice) };
        let mut under_way = VecDeque::new();
        while !self.is_done() {
            if position < width {
                under_way.push_back(self.model.choose(&self.rows, position, &request)?);
                position += 1;
            }
            if under_way.len() == 2 || position == width {
                let Some(tokens) = under_way.pop_front() else { break };
                let tokens: Vec<TokenId> = tokens.wait()?.iter::<TokenId>().collect();
                let vocabulary_size = self.vocabulary_size() as TokenId;
                if let Some(row) = tokens.iter().position(|token| *token == vocabulary_size) {
                    return Err(TaskError::NonFiniteLogits { row, position: self.index });
                }
                self.write(&tokens)?;
                self.advance();
                self.announce();
            }
        }
        Ok(true)
    }

    /// What is known of the positions to come; of those before nothing is asked.
    fn plan(&self, choice: TokenChoice) -> StepPlan {
        let (rows, width) = (self.rows.len(), self.rows[0].len());
        let places = (0..width).flat_map(|position| (0..rows).map(move |row| (row, position)));
        let forced = |(row, position): (usize, usize)| {
            let is_forced = position < self.prompt_lengths[row];
            if is_forced { self.rows[row][position] as i32 } else { -1 }
        };
        // Rounded to 32 bits, a number may become 1.
        let number = |(row, position)| match choice {
            TokenChoice::Greedy => 0.0,
            _ if position < self.index => 0.0,
            _ => (self.draw_at(row, position).uniform() as f32).min(1f32.next_down()),
        };
        let numbers = places.clone().map(number).collect();
        StepPlan { numbers, forced: places.map(forced).collect(), rows }
    }

    /// Writes a token for every row; a prompt's own tokens stay. Does not move on.
    ///
    /// # Errors
    ///
    /// [`TaskError::SampledOutOfRange`].
    pub fn write(&mut self, tokens: &[TokenId]) -> Result<(), TaskError> {
        let vocabulary_size = self.vocabulary_size();
        for (row, &token_id) in tokens.iter().enumerate() {
            if token_id as usize >= vocabulary_size {
                return Err(TaskError::SampledOutOfRange { token_id, vocabulary_size });
            }
            if !self.is_forced(row) {
                self.rows[row][self.index] = token_id;
            }
        }
        Ok(())
    }

    /// Moves on to the next position.
    pub fn advance(&mut self) {
        self.index += 1;
    }

    /// Tells the caller about the tokens at the last position, which are final.
    pub fn announce(&mut self) {
        for row in 0..self.rows.len() {
            self.announce_row(row, self.index - 1);
        }
    }

    /// Tells the caller about all tokens behind the prompts, for a search that decides at its end.
    pub(crate) fn announce_all(&mut self) {
        for row in 0..self.rows.len() {
            for position in self.prompt_lengths[row]..self.index {
                self.announce_row(row, position);
            }
        }
    }

    /// Makes row `i` a copy of the former row `rows[i]`, in the model too.
    pub fn select_rows(&mut self, rows: &[usize]) {
        self.model.select_rows(rows);
        self.rows = rows.iter().map(|&row| self.rows[row].clone()).collect();
        self.prompt_lengths = rows.iter().map(|&row| self.prompt_lengths[row]).collect();
    }

    /// Real tokens of a row: up to its stop token, or all.
    pub(crate) fn length(&self, row: usize) -> usize {
        let unfinished = if self.cancelled {
            self.index.max(self.prompt_lengths[row])
        } else {
            self.rows[row].len()
        };
        self.stop_position(row).map_or(unfinished, |position| position + 1)
    }

    /// The rows as they are, with the beams that the search returned.
    pub fn finish(self, beams: Option<Vec<Vec<Beam>>>) -> Decoded {
        let lengths = (0..self.rows.len()).map(|row| self.length(row)).collect();
        Decoded { rows: self.rows, lengths, beams }
    }

    /// The first stop token behind the prompt.
    ///
    /// Only filled positions count: KerasHub takes padding for a stop token where both have one id.
    fn stop_position(&self, row: usize) -> Option<usize> {
        let start = self.prompt_lengths[row];
        let made = self.rows[row].get(start..self.index)?;
        let offset = made.iter().position(|token| self.stop_token_ids.contains(token))?;
        Some(start + offset)
    }

    fn announce_row(&mut self, row: usize, position: usize) {
        let is_prompt = position < self.prompt_lengths[row];
        let is_garbage = self.stop_position(row).is_some_and(|stop| position > stop);
        if is_prompt || is_garbage || self.cancelled {
            return;
        }
        let token_id = self.rows[row][position];
        self.cancelled = (self.on_token)(TokenEvent { row, position, token_id }).is_break();
    }
}
