//! The tied output layer: products with the table of embeddings.

mod composed;
#[cfg(feature = "flex")]
mod cpu;
#[cfg(all(feature = "gpu", not(feature = "fusion")))]
mod gpu;
#[cfg(all(test, feature = "flex"))]
mod tests;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::Tensor;

use crate::backends::composed_on;

/// Logits of hidden states by the embedding table: `hidden @ table^T`.
///
/// # Shapes
///
/// `[rows, hidden_dim], [vocabulary_size, hidden_dim] -> [rows, vocabulary_size]`
pub fn reverse_embedding(hidden: Tensor<2>, table: Tensor<2>) -> Tensor<2> {
    let (hidden, table) = (hidden.into_dispatch(), table.into_dispatch());
    Tensor::from_dispatch(Dispatch::fused_reverse_embedding(hidden, table))
}

/// The tied output layer on a backend.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(any(feature = "wgpu", feature = "cuda")),
    Autodiff
)]
pub trait ReverseEmbeddingOps: Backend {
    /// `hidden @ table^T`: `[rows, hidden_dim], [outputs, hidden_dim] -> [rows, outputs]`.
    fn fused_reverse_embedding(
        hidden: FloatTensor<Self>,
        table: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        composed::reverse_embedding::<Self>(hidden, table)
    }
}

composed_on!(ReverseEmbeddingOps: NdArray, FusedCube, Autodiff);
