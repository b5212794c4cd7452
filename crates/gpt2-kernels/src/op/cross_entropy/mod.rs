//! The output layer and its cross-entropy, with their gradients.

mod composed;
#[cfg(feature = "flex")]
mod cpu;
#[cfg(all(feature = "gpu", not(feature = "fusion")))]
mod gpu;
mod request;
#[cfg(all(test, feature = "flex"))]
mod tests;

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::{Int, Tensor};

pub use self::request::{CrossEntropy, CrossEntropyGradients};
use crate::backends::composed_on;

/// Results of [`cross_entropy`].
#[derive(Debug, Clone)]
pub struct CrossEntropyOutput {
    /// Cross-entropy of each row.
    pub losses: Tensor<1>,
    /// Most probable token of each row; of equal ones the first.
    pub best: Tensor<1, Int>,
    /// Gradient by the hidden states, if it was requested.
    pub hidden_gradient: Option<Tensor<2>>,
    /// Gradient by the table, if it was requested.
    pub table_gradient: Option<Tensor<2>>,
}

/// Computes the cross-entropy of the output layer on hidden states, and its gradients.
///
/// Logits exist for a chunk of rows at a time: in full, `[rows, vocabulary_size]` would be the
/// largest array of a training. Not differentiable: the gradients are results.
///
/// # Shapes
///
/// `hidden`: `[rows, hidden_dim]`; `table`: `[vocabulary_size, hidden_dim]` if tied, else
/// `[hidden_dim, vocabulary_size]`.
pub fn cross_entropy(
    hidden: Tensor<2>,
    table: Tensor<2>,
    request: CrossEntropy,
) -> CrossEntropyOutput {
    let (hidden, table) = (hidden.into_dispatch(), table.into_dispatch());
    let (losses, best, hidden, table) = Dispatch::fused_cross_entropy(hidden, table, request);
    CrossEntropyOutput {
        losses: Tensor::from_dispatch(losses),
        best: Tensor::from_dispatch(best),
        hidden_gradient: hidden.map(Tensor::from_dispatch),
        table_gradient: table.map(Tensor::from_dispatch),
    }
}

/// Cross-entropies on a backend.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(any(feature = "wgpu", feature = "cuda")),
    Autodiff
)]
pub trait CrossEntropyOps: Backend {
    /// Cross-entropies `[rows]` and most probable tokens `[rows]` of the output layer, and the
    /// requested gradients by hidden states and by the table. Not differentiable.
    #[allow(clippy::type_complexity, reason = "the extension mechanism reads the types as written")]
    fn fused_cross_entropy(
        hidden: FloatTensor<Self>,
        table: FloatTensor<Self>,
        request: CrossEntropy,
    ) -> (FloatTensor<Self>, IntTensor<Self>, Option<FloatTensor<Self>>, Option<FloatTensor<Self>>)
    {
        composed::cross_entropy::<Self>(hidden, table, request)
    }

    /// Cross-entropies `[rows]` and most probable tokens `[rows]` of logits, `[rows,
    /// vocabulary_size]` in 32-bit floats. With `slope`, the gradient by the logits too; `factors`,
    /// `[rows]`, are the rows' shares in the loss.
    #[allow(clippy::type_complexity, reason = "the extension mechanism reads the types as written")]
    fn fused_logit_losses(
        logits: FloatTensor<Self>,
        targets: IntTensor<Self>,
        factors: FloatTensor<Self>,
        slope: bool,
    ) -> (FloatTensor<Self>, IntTensor<Self>, Option<FloatTensor<Self>>) {
        composed::logit_losses::<Self>(logits, targets, factors, slope)
    }
}

composed_on!(CrossEntropyOps: NdArray, FusedCube, Autodiff);
