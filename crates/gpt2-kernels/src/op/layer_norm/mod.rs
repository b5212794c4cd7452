//! Layer normalisation.

mod composed;
#[cfg(feature = "flex")]
mod cpu;
#[cfg(all(feature = "gpu", not(feature = "fusion")))]
mod gpu;
mod grad;
#[cfg(all(test, feature = "flex"))]
mod tests;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::Tensor;

use crate::backends::composed_on;

/// Computes `(x - mean) / sqrt(variance + epsilon) * gamma + beta` over the last axis, with the
/// biased variance ([Ba et al., 2016](https://arxiv.org/abs/1607.06450)). Computes in 32-bit
/// floats, also for 16-bit tensors; the result has the type of `x`.
///
/// # Shapes
///
/// `[rows, hidden_dim], [hidden_dim], [hidden_dim] -> [rows, hidden_dim]`
pub fn layer_norm(x: Tensor<2>, gamma: Tensor<1>, beta: Tensor<1>, epsilon: f64) -> Tensor<2> {
    let (x, gamma, beta) = (x.into_dispatch(), gamma.into_dispatch(), beta.into_dispatch());
    Tensor::from_dispatch(Dispatch::fused_layer_norm(x, gamma, beta, epsilon))
}

/// Layer normalisation on a backend.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(any(feature = "wgpu", feature = "cuda")),
    Autodiff
)]
pub trait LayerNormOps: Backend {
    /// Layer normalisation over the last axis of `[rows, hidden_dim]`. Computes in 32-bit floats,
    /// also for 16-bit tensors; the result has the input's type.
    fn fused_layer_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        composed::layer_norm::<Self>(x, gamma, beta, epsilon)
    }

    /// Gradients by `x`, `gamma` and `beta`.
    fn fused_layer_norm_backward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        composed::layer_norm_backward::<Self>(x, gamma, gradient, epsilon)
    }
}

composed_on!(LayerNormOps: NdArray, FusedCube);
