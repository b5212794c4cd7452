//! State that all layers of one forward pass share.

use burn::tensor::{Bool, DType, Int, Tensor};
use gpt2_kernels::CachedKeys;

use crate::dropout::{Dropout, Place};

/// The mask, the dropout and the float type of one forward pass.
#[derive(Debug, Clone)]
pub(crate) struct PassState {
    /// Mask, true where a token may be seen: `[batch_size, tokens in the cache + sequence_length]`.
    pub(crate) padding_mask: Option<Tensor<2, Bool>>,
    /// Location of the cached tokens, which come before the new ones.
    pub(crate) cached: CachedKeys,
    /// Number of cached tokens, `[1]`, if it is on the device.
    pub(crate) position: Option<Tensor<1, Int>>,
    pub(crate) dropout: Option<Dropout>,
    /// Float type of products and activations.
    pub(crate) compute_dtype: DType,
}

impl PassState {
    /// Applies dropout. Does nothing in inference.
    pub(crate) fn drop<const D: usize>(&self, input: Tensor<D>, place: Place) -> Tensor<D> {
        match &self.dropout {
            Some(dropout) => dropout.apply(input, place),
            None => input,
        }
    }
}
