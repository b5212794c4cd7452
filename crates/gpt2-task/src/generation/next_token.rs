//! Interface of a model for a search.

use gpt2_tokenizer::TokenId;

use super::device_step::model::DeviceModel;
use super::matrix::Matrix;
use crate::error::TaskError;

/// Logits of the next token, for one position after another: KerasHub's
/// `next(prompt, cache, index)`.
///
/// A search owns its rows. The model keeps the state of each row, such as its cache.
pub trait NextToken {
    /// Logits for position `index` of every row, given the tokens before it.
    ///
    /// `index` is at least 1 and increases from call to call.
    ///
    /// # Errors
    ///
    /// Those of the model.
    fn next(&mut self, rows: &[Vec<TokenId>], index: usize) -> Result<Matrix, TaskError>;

    /// Hidden states of the tokens that the last step processed: for each row the concatenated
    /// vectors, `[positions * hidden_dim]`.
    ///
    /// # Errors
    ///
    /// Those of the model.
    fn hidden_states(&mut self) -> Result<Matrix, TaskError>;

    /// Makes row `i` a copy of the former row `rows[i]`.
    fn select_rows(&mut self, rows: &[usize]);

    /// Number of logits in a row.
    fn vocabulary_size(&self) -> usize;

    /// The same model, if it can choose tokens on its device. Default: none, the host chooses.
    fn on_device(&mut self) -> Option<&mut dyn DeviceModel> {
        None
    }
}
