//! The model as a search sees it.

use gpt2_tokenizer::TokenId;

use super::device_step::model::DeviceModel;
use super::matrix::Matrix;
use crate::error::TaskError;

/// Logits of the next token, one position after the other: KerasHub's `next(prompt, cache, index)`.
///
/// A search owns its rows; the model keeps what belongs to each of them, such as a cache.
pub trait NextToken {
    /// Logits for position `index` of every row, given the tokens before it.
    ///
    /// `index` is at least 1 and grows from call to call.
    ///
    /// # Errors
    ///
    /// The model's own.
    fn next(&mut self, rows: &[Vec<TokenId>], index: usize) -> Result<Matrix, TaskError>;

    /// Hidden states of the tokens that the last step was the first to see: for each row the
    /// concatenated vectors, `[positions * hidden_dim]`.
    ///
    /// # Errors
    ///
    /// The model's own.
    fn hidden_states(&mut self) -> Result<Matrix, TaskError>;

    /// Makes row `i` a copy of the former row `rows[i]`.
    fn select_rows(&mut self, rows: &[usize]);

    /// Number of logits a row.
    fn vocabulary_size(&self) -> usize;

    /// The same model, working where its logits are. Default: none, and the host chooses.
    fn on_device(&mut self) -> Option<&mut dyn DeviceModel> {
        None
    }
}
