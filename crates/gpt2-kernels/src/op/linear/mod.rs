//! Products with a bias, and what follows them.

mod composed;
#[cfg(feature = "flex")]
pub(crate) mod cpu;
mod epilogue;
#[cfg(all(feature = "gpu", not(feature = "fusion")))]
pub(crate) mod gpu;
mod grad;
#[cfg(all(test, feature = "flex"))]
mod tests;
mod triple;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Dispatch, backend_extension};
use burn::tensor::Tensor;

use self::epilogue::Epilogue;
use self::triple::Triple;
use crate::backends::composed_on;
use crate::op::column_sums::ColumnSumsOps;
use crate::op::gelu::GeluOps;

/// `x W + b`.
///
/// # Shapes
///
/// `[rows, inputs], [inputs, outputs], [outputs] -> [rows, outputs]`
pub fn linear(x: Tensor<2>, kernel: Tensor<2>, bias: Tensor<1>) -> Tensor<2> {
    with_epilogue(x, kernel, bias, Epilogue::None)
}

/// `gelu(x W + b)`; shapes as [`linear`].
pub fn linear_gelu(x: Tensor<2>, kernel: Tensor<2>, bias: Tensor<1>) -> Tensor<2> {
    with_epilogue(x, kernel, bias, Epilogue::Gelu)
}

/// `residual + x W + b`; shapes as [`linear`], and `residual` as the result.
pub fn linear_add(
    x: Tensor<2>,
    kernel: Tensor<2>,
    bias: Tensor<1>,
    residual: Tensor<2>,
) -> Tensor<2> {
    with_epilogue(x, kernel, bias, Epilogue::Add(residual.into_dispatch()))
}

fn with_epilogue(
    x: Tensor<2>,
    kernel: Tensor<2>,
    bias: Tensor<1>,
    epilogue: Epilogue<Dispatch>,
) -> Tensor<2> {
    let (x, kernel, bias) = (x.into_dispatch(), kernel.into_dispatch(), bias.into_dispatch());
    Tensor::from_dispatch(Dispatch::fused_linear(x, kernel, bias, epilogue))
}

/// [`linear`] of the same rows with three matrices of the same size: one launch on a GPU.
///
/// # Shapes
///
/// `[rows, inputs], 3 [inputs, outputs], 3 [outputs] -> 3 [rows, outputs]`
pub fn projections(
    x: Tensor<2>,
    kernels: [Tensor<2>; 3],
    biases: [Tensor<1>; 3],
) -> [Tensor<2>; 3] {
    let kernels = kernels.map(Tensor::into_dispatch).into();
    let biases = biases.map(Tensor::into_dispatch).into();
    let outputs = Dispatch::fused_projections(x.into_dispatch(), kernels, biases);
    outputs.into_array().map(Tensor::from_dispatch)
}

/// Products with a bias on a backend.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(any(feature = "wgpu", feature = "cuda")),
    Autodiff
)]
pub trait LinearOps: GeluOps + ColumnSumsOps {
    /// `x W + b` and its epilogue: `[rows, inputs] -> [rows, outputs]`.
    fn fused_linear(
        x: FloatTensor<Self>,
        kernel: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        #[extension_type] epilogue: Epilogue<Self>,
    ) -> FloatTensor<Self> {
        composed::linear::<Self>(x, kernel, bias, epilogue)
    }

    /// `x W + b` with three matrices of the same size, and their biases.
    fn fused_projections(
        x: FloatTensor<Self>,
        #[extension_type] kernels: Triple<Self>,
        #[extension_type] biases: Triple<Self>,
    ) -> Triple<Self> {
        composed::projections::<Self>(x, kernels, biases)
    }
}

composed_on!(LinearOps: NdArray, FusedCube);
