//! GPT-2's GELU.

pub(crate) mod composed;
#[cfg(feature = "flex")]
pub(crate) mod cpu;
#[cfg(all(feature = "gpu", not(feature = "fusion")))]
pub(crate) mod gpu;
mod grad;
#[cfg(all(test, feature = "flex"))]
mod tests;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::Tensor;

use crate::backends::composed_on;

/// GPT-2's GELU of every number, `0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))` ([Hendrycks
/// and Gimpel, 2016](https://arxiv.org/abs/1606.08415)).
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::fused_gelu(x.into_dispatch()))
}

/// GELU on a backend.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(any(feature = "wgpu", feature = "cuda")),
    Autodiff
)]
pub trait GeluOps: Backend {
    /// GPT-2's GELU.
    fn fused_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        composed::gelu::<Self>(x)
    }

    /// Gradient by `x`, from the gradient by the result.
    fn fused_gelu_backward(x: FloatTensor<Self>, gradient: FloatTensor<Self>) -> FloatTensor<Self> {
        composed::gelu_backward::<Self>(x, gradient)
    }
}

composed_on!(GeluOps: NdArray, FusedCube);
