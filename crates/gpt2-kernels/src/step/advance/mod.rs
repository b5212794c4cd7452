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
    /// The state of the next position: the same tensors, written in place, where the backend has a
    /// kernel; else new ones.
    fn fused_advance(
        #[extension_type] state: StepTensors<Self>,
        chosen: IntTensor<Self>,
        vocabulary_size: usize,
    ) -> StepTensors<Self> {
        composed::advance::<Self>(state, chosen, vocabulary_size)
    }
}

composed_on!(AdvanceOps: Flex, NdArray, FusedCube, Autodiff);
