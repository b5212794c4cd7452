//! What all layers of one forward pass share.

use burn::tensor::{DType, Tensor};

use crate::attention_mask::AttentionMask;
use crate::dropout::{Dropout, Place};

/// The mask, the dropout and the float type of one forward pass.
#[derive(Debug, Clone)]
pub(crate) struct ForwardPass {
    pub(crate) mask: AttentionMask,
    /// Position of the first token.
    pub(crate) start: usize,
    pub(crate) dropout: Option<Dropout>,
    /// The float type of activations, where it is not that of the parameters.
    pub(crate) compute_dtype: Option<DType>,
}

impl ForwardPass {
    /// Drops numbers in training, and does nothing else.
    pub(crate) fn drop<const D: usize>(&self, input: Tensor<D>, place: Place) -> Tensor<D> {
        match &self.dropout {
            Some(dropout) => dropout.apply(input, place),
            None => input,
        }
    }
}
