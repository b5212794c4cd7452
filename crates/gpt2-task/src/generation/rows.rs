//! Rows of tokens that a search fills, position by position.

use std::ops::ControlFlow;

use gpt2_tokenizer::TokenId;

use crate::error::TaskError;

/// One generated token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenEvent {
    /// Row in the batch.
    pub row: usize,
    /// Position in the row, counting the start token and the prompt.
    pub position: usize,
    /// Id of the token.
    pub token_id: TokenId,
}

/// Callback for every generated token. `Break` ends the generation and keeps the tokens so far.
pub type OnToken<'a> = dyn FnMut(TokenEvent) -> ControlFlow<()> + 'a;

/// Prompts, the tokens generated after them, and the rules by which they end.
pub(crate) struct Rows<'a> {
    tokens: Vec<Vec<TokenId>>,
    prompt_lengths: Vec<usize>,
    /// Next position to fill, the same in every row.
    index: usize,
    vocabulary_size: usize,
    stop_token_ids: &'a [TokenId],
    on_token: &'a mut OnToken<'a>,
    cancelled: bool,
}

impl<'a> Rows<'a> {
    /// Rows that are filled up to the end of the shortest prompt. The rest of longer prompts is fed
    /// token by token.
    ///
    /// # Panics
    ///
    /// If there are no rows, or a prompt is empty.
    pub(super) fn new(
        tokens: Vec<Vec<TokenId>>,
        prompt_lengths: Vec<usize>,
        vocabulary_size: usize,
        stop_token_ids: &'a [TokenId],
        on_token: &'a mut OnToken<'a>,
    ) -> Self {
        let index = prompt_lengths.iter().copied().min().expect("a batch has rows");
        assert!(index > 0, "a prompt has tokens");
        let cancelled = false;
        Self { tokens, prompt_lengths, index, vocabulary_size, stop_token_ids, on_token, cancelled }
    }

    /// Next position to fill.
    pub(super) fn index(&self) -> usize {
        self.index
    }

    /// Rows, filled up to [`index`](Self::index). Longer prompts extend beyond it.
    pub(super) fn tokens(&self) -> &[Vec<TokenId>] {
        &self.tokens
    }

    /// Number of rows.
    pub(super) fn count(&self) -> usize {
        self.tokens.len()
    }

    /// Number of positions in a row.
    pub(super) fn width(&self) -> usize {
        self.tokens[0].len()
    }

    /// Token of the row's prompt at a position. None after the end of the prompt.
    pub(super) fn prompt_token(&self, row: usize, position: usize) -> Option<TokenId> {
        (position < self.prompt_lengths[row]).then(|| self.tokens[row][position])
    }

    /// Whether all rows are full or have a stop token after their prompt, or the caller has ended
    /// the generation.
    pub(super) fn is_done(&self) -> bool {
        self.cancelled
            || self.index >= self.width()
            || (0..self.count()).all(|row| self.stop_position(row).is_some())
    }

    /// Writes a token for every row, but keeps prompt tokens. Does not advance the position.
    ///
    /// # Errors
    ///
    /// [`TaskError::SampledOutOfRange`].
    pub(super) fn write(&mut self, chosen: &[TokenId]) -> Result<(), TaskError> {
        let (index, vocabulary_size) = (self.index, self.vocabulary_size);
        for (row, &token_id) in chosen.iter().enumerate() {
            if token_id as usize >= vocabulary_size {
                return Err(TaskError::SampledOutOfRange { token_id, vocabulary_size });
            }
            self.tokens[row][index] = self.prompt_token(row, index).unwrap_or(token_id);
        }
        Ok(())
    }

    /// Advances to the next position.
    pub(super) fn advance(&mut self) {
        self.index += 1;
    }

    /// Reports the tokens at the last position, which are final, to the caller.
    pub(super) fn announce(&mut self) {
        for row in 0..self.count() {
            self.announce_token(row, self.index - 1);
        }
    }

    /// Reports all tokens after the prompts to the caller.
    pub(super) fn announce_all(&mut self) {
        for row in 0..self.count() {
            for position in self.prompt_lengths[row]..self.index {
                self.announce_token(row, position);
            }
        }
    }

    /// Makes row `i` a copy of the former row `rows[i]`.
    pub(super) fn select(&mut self, rows: &[usize]) {
        self.tokens = rows.iter().map(|&row| self.tokens[row].clone()).collect();
        self.prompt_lengths = rows.iter().map(|&row| self.prompt_lengths[row]).collect();
    }

    /// Number of real tokens in a row: up to and including its stop token, or all filled ones.
    pub(super) fn length(&self, row: usize) -> usize {
        let unfinished =
            if self.cancelled { self.index.max(self.prompt_lengths[row]) } else { self.width() };
        self.stop_position(row).map_or(unfinished, |position| position + 1)
    }

    /// Returns the rows.
    pub(super) fn into_tokens(self) -> Vec<Vec<TokenId>> {
        self.tokens
    }

    /// Position of the first stop token after the prompt.
    ///
    /// Only filled positions count. KerasHub takes padding for a stop token if both have the same
    /// id.
    fn stop_position(&self, row: usize) -> Option<usize> {
        let start = self.prompt_lengths[row];
        let made = self.tokens[row].get(start..self.index)?;
        let offset = made.iter().position(|token| self.stop_token_ids.contains(token))?;
        Some(start + offset)
    }

    fn announce_token(&mut self, row: usize, position: usize) {
        let is_prompt = position < self.prompt_lengths[row];
        let is_garbage = self.stop_position(row).is_some_and(|stop| position > stop);
        if is_prompt || is_garbage || self.cancelled {
            return;
        }
        let token_id = self.tokens[row][position];
        self.cancelled = (self.on_token)(TokenEvent { row, position, token_id }).is_break();
    }
}
