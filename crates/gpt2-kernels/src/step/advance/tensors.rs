//! The tensors of a step's state.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, ExtensionType};

/// The tensors of a [`StepState`](crate::StepState).
#[derive(Debug, Clone, ExtensionType)]
pub struct StepTensors<B: Backend> {
    /// Number of tokens in the cache, `[1]`.
    pub(in crate::step) position: IntTensor<B>,
    /// The token of each row that follows them, `[rows]`.
    pub(in crate::step) tokens: IntTensor<B>,
    /// The random number of each row for the token after, `[rows]`.
    pub(in crate::step) numbers: FloatTensor<B>,
    /// The random numbers of all positions, `[positions, rows]`.
    pub(in crate::step) all_numbers: FloatTensor<B>,
    /// The given tokens of all positions, or -1, `[positions, rows]`.
    pub(in crate::step) forced: IntTensor<B>,
}
