//! What a search asks of a model.

use gpt2_backbone::PendingRead;
use gpt2_kernels::{StepPlan, TokenChoice};
use gpt2_tokenizer::TokenId;

use super::probabilities::{softmax, token, top_k};
use crate::error::TaskError;

/// What a model says about the next token: KerasHub's `next(prompt, cache, index)`.
///
/// A search owns its rows; the model keeps what belongs to each of them, such as a cache.
pub trait NextToken {
    /// Logits for position `index` of every row, given the tokens before it.
    ///
    /// `index` is at least 1 and grows from call to call.
    ///
    /// # Errors
    ///
    /// Whatever keeps the model from computing them.
    fn next(&mut self, rows: &[Vec<TokenId>], index: usize) -> Result<Matrix, TaskError>;

    /// The `k` most probable tokens for position `index` of every row, the best first, by
    /// `softmax(logits / temperature)`.
    ///
    /// Sorts what [`next`](Self::next) gives, unless the model has a way where its logits are.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next), and [`TaskError::NonFiniteLogits`].
    fn best(
        &mut self,
        rows: &[Vec<TokenId>],
        index: usize,
        k: usize,
        temperature: f32,
    ) -> Result<Vec<Vec<TokenProbability>>, TaskError> {
        best_of_logits(self.next(rows, index)?, index, k, temperature)
    }

    /// Hidden states of the tokens that the last [`next`](Self::next) or [`best`](Self::best) was
    /// the first to see: for each row the concatenated vectors, `[positions * hidden_dim]`.
    ///
    /// # Errors
    ///
    /// Whatever keeps the model from giving them.
    fn hidden_states(&mut self) -> Result<Matrix, TaskError>;

    /// Makes row `i` a copy of the former row `rows[i]`.
    fn select_rows(&mut self, rows: &[usize]);

    /// Number of logits a row.
    fn vocabulary_size(&self) -> usize;

    /// Whether [`choose`](Self::choose) may be called.
    fn chooses(&self) -> bool {
        false
    }

    /// Chooses the token for position `index` of every row where the logits are, and says where it
    /// will be: the next call may follow before that is read.
    ///
    /// The first call sees `rows`; those after it are for the positions behind, each for the next, and
    /// need only know what was chosen before. The request is the same in all.
    ///
    /// # Errors
    ///
    /// Whatever keeps the model from computing them.
    ///
    /// # Panics
    ///
    /// If the model does not [choose](Self::chooses).
    fn choose(
        &mut self,
        rows: &[Vec<TokenId>],
        index: usize,
        request: &TokenRequest,
    ) -> Result<PendingRead, TaskError> {
        let _ = (rows, index, request);
        panic!("the model does not choose tokens")
    }
}

/// How a model is to choose tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenRequest {
    /// How they follow from the logits.
    pub choice: TokenChoice,
    /// The random numbers for all positions, and the tokens of prompts that go on.
    pub plan: StepPlan,
}

impl TokenRequest {
    /// The random numbers for a position.
    pub fn numbers(&self, position: usize) -> &[f32] {
        &self.plan.numbers[position * self.plan.rows..][..self.plan.rows]
    }

    /// The tokens that rows have at a position, or -1.
    pub fn forced(&self, position: usize) -> &[i32] {
        &self.plan.forced[position * self.plan.rows..][..self.plan.rows]
    }
}

/// A token that may be the next, and its probability.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TokenProbability {
    /// The token.
    pub token_id: TokenId,
    /// Its probability.
    pub probability: f32,
}

/// The `k` most probable tokens of each row of logits for a position.
pub(crate) fn best_of_logits(
    mut logits: Matrix,
    position: usize,
    k: usize,
    temperature: f32,
) -> Result<Vec<Vec<TokenProbability>>, TaskError> {
    check_finite(&logits, position)?;
    let best_of_row = |row: &mut [f32]| {
        softmax(row, temperature);
        best_of(row, k, token)
    };
    Ok(logits.rows_mut().map(best_of_row).collect())
}

/// The `k` largest probabilities, the largest first, of the tokens that `token_at` says for a place.
pub(crate) fn best_of(
    probabilities: &[f32],
    k: usize,
    token_at: impl Fn(usize) -> TokenId,
) -> Vec<TokenProbability> {
    let describe =
        |place| TokenProbability { token_id: token_at(place), probability: probabilities[place] };
    top_k(probabilities, k).into_iter().map(describe).collect()
}

/// Refuses logits that are not all finite.
pub(crate) fn check_finite(logits: &Matrix, position: usize) -> Result<(), TaskError> {
    // All are looked at, several at a time.
    let is_finite = |row: &[f32]| row.iter().fold(true, |all, logit| all & logit.is_finite());
    match logits.rows().position(|row| !is_finite(row)) {
        Some(row) => Err(TaskError::NonFiniteLogits { row, position }),
        None => Ok(()),
    }
}

/// A matrix on the host, row by row.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    values: Vec<f32>,
    width: usize,
}

impl Matrix {
    /// A matrix of rows of `width` values.
    ///
    /// # Panics
    ///
    /// If the values do not fill whole rows.
    pub fn new(values: Vec<f32>, width: usize) -> Self {
        assert!(values.len().is_multiple_of(width), "{} values in rows of {width}", values.len());
        Self { values, width }
    }

    /// Its rows.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.values.chunks_exact(self.width)
    }

    /// Its rows, to be changed.
    pub fn rows_mut(&mut self) -> impl ExactSizeIterator<Item = &mut [f32]> {
        self.values.chunks_exact_mut(self.width)
    }

    /// One row.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.width..(row + 1) * self.width]
    }
}
