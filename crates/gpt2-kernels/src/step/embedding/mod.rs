//! The embedding of a step, whose position is on the device.

#[cfg(all(feature = "gpu", not(feature = "fusion")))]
mod gpu;

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::{Int, Tensor};

use crate::backends::composed_on;

/// Sums each token's embedding and that of the tokens' common position.
///
/// # Shapes
///
/// `tokens`: `[rows]`; `position`: `[1]`; tables: `[entries, hidden_dim]`; result: `[rows, 1,
/// hidden_dim]`.
///
/// # Panics
///
/// If the device [has no steps](crate::has_steps).
pub fn step_embedding(
    tokens: Tensor<1, Int>,
    position: Tensor<1, Int>,
    token_table: Tensor<2>,
    position_table: Tensor<2>,
) -> Tensor<3> {
    let (tokens, position) = (tokens.into_dispatch(), position.into_dispatch());
    let (token_table, position_table) =
        (token_table.into_dispatch(), position_table.into_dispatch());
    let sum = Dispatch::fused_step_embedding(tokens, position, token_table, position_table);
    Tensor::from_dispatch(sum.expect("the device has steps"))
}

/// The embedding of a step on a backend.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(any(feature = "wgpu", feature = "cuda")),
    Autodiff
)]
pub trait StepEmbeddingOps: Backend {
    /// Sum of each token's embedding and the position's, `[rows, 1, hidden_dim]`. None without a
    /// kernel.
    fn fused_step_embedding(
        tokens: IntTensor<Self>,
        position: IntTensor<Self>,
        token_table: FloatTensor<Self>,
        position_table: FloatTensor<Self>,
    ) -> Option<FloatTensor<Self>> {
        let _ = (tokens, position, token_table, position_table);
        None
    }
}

composed_on!(StepEmbeddingOps: Flex, NdArray, FusedCube, Autodiff);
