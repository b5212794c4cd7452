//! Dropout.

mod composed;
#[cfg(feature = "flex")]
mod cpu;
#[cfg(all(feature = "gpu", not(feature = "fusion")))]
mod gpu;
mod grad;
pub(crate) mod key;
#[cfg(all(test, feature = "flex"))]
mod tests;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::Tensor;

pub use self::key::DropoutKey;
use crate::backends::composed_on;

/// Sets some numbers to zero and divides the others by the probability that a number is kept
/// ([Srivastava et al., 2014](https://jmlr.org/papers/v15/srivastava14a.html)). The same key drops
/// the same numbers.
pub fn dropout<const D: usize>(x: Tensor<D>, key: DropoutKey) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::fused_dropout(x.into_dispatch(), key))
}

/// Dropout on a backend.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(any(feature = "wgpu", feature = "cuda")),
    Autodiff
)]
pub trait DropoutOps: Backend {
    /// Sets some numbers to zero and divides the others by the probability that a number is kept.
    fn fused_dropout(x: FloatTensor<Self>, key: DropoutKey) -> FloatTensor<Self> {
        composed::dropout::<Self>(x, key)
    }
}

composed_on!(DropoutOps: FusedCube);
