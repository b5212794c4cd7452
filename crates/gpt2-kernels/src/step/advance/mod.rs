//! The next position of a step's state.

mod composed;
#[cfg(all(feature = "gpu", not(feature = "fusion")))]
mod gpu;
pub(super) mod tensors;

use burn::backend::tensor::IntTensor;
use burn::backend::{Backend, backend_extension};

use self::tensors::StepTensors;
use crate::backends::composed_on;

/// The next position of a step's state on a backend.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(any(feature = "wgpu", feature = "cuda")),
    Autodiff
)]
pub trait AdvanceOps: Backend {
    /// State of the next position. Backends with a kernel write to the same tensors in place;
    /// others return new ones.
    fn fused_advance(
        #[extension_type] state: StepTensors<Self>,
        chosen: IntTensor<Self>,
        vocabulary_size: usize,
    ) -> StepTensors<Self> {
        composed::advance::<Self>(state, chosen, vocabulary_size)
    }
}

composed_on!(AdvanceOps: Flex, NdArray, FusedCube, Autodiff);
