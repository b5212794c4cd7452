//! Tensors of a step's state.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, ExtensionType};

/// Tensors of a [`StepState`](crate::StepState) on a backend.
#[derive(Debug, Clone, ExtensionType)]
pub struct StepTensors<B: Backend> {
    /// Number of tokens in the cache, `[1]`.
    pub(in crate::step) position: IntTensor<B>,
    /// Token of each row to feed at that position, `[rows]`.
    pub(in crate::step) tokens: IntTensor<B>,
    /// Random number of each row for the token after, `[rows]`.
    pub(in crate::step) numbers: FloatTensor<B>,
    /// Random numbers of all positions, `[positions, rows]`.
    pub(in crate::step) all_numbers: FloatTensor<B>,
    /// Given tokens of all positions, or -1, `[positions, rows]`.
    pub(in crate::step) forced: IntTensor<B>,
}
