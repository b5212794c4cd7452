//! State that all layers of one forward pass share.

use burn::tensor::{Bool, DType, Int, Tensor};
use gpt2_kernels::CachedKeys;

use crate::dropout::{Dropout, Place};

/// The mask, the dropout and the float type of one forward pass.
#[derive(Debug, Clone)]
pub(crate) struct PassState {
    /// True where a token may be seen, `[batch_size, tokens in the cache + sequence_length]`.
    pub(crate) padding_mask: Option<Tensor<2, Bool>>,
    /// Tokens in the cache, which come before the first token.
    pub(crate) cached: CachedKeys,
    /// Their number, `[1]`, where it is on the device.
    pub(crate) position: Option<Tensor<1, Int>>,
    pub(crate) dropout: Option<Dropout>,
    /// Float type of products and activations.
    pub(crate) compute_dtype: DType,
}

impl PassState {
    /// Drops numbers in training, and does nothing else.
    pub(crate) fn drop<const D: usize>(&self, input: Tensor<D>, place: Place) -> Tensor<D> {
        match &self.dropout {
            Some(dropout) => dropout.apply(input, place),
            None => input,
        }
    }
}
