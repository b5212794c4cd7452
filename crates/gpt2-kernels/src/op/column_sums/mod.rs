//! Sums of columns: the gradients of what was added to every row.

#[cfg(feature = "flex")]
pub(crate) mod cpu;
#[cfg(all(test, feature = "flex"))]
mod tests;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, TensorMetadata, backend_extension};
use burn::tensor::{Shape, Tensor};

use crate::backends::composed_on;

/// The sum of each column.
///
/// # Shapes
///
/// `[rows, columns] -> [columns]`
pub fn column_sums(x: Tensor<2>) -> Tensor<1> {
    Tensor::from_dispatch(Dispatch::column_sums(x.into_dispatch()))
}

/// Sums of columns on a backend.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(any(feature = "wgpu", feature = "cuda")),
    Autodiff
)]
pub trait ColumnSumsOps: Backend {
    /// The sum of each column: `[rows, columns] -> [columns]`.
    fn column_sums(x: FloatTensor<Self>) -> FloatTensor<Self> {
        composed::<Self>(x)
    }
}

composed_on!(ColumnSumsOps: NdArray, Cube, Autodiff);

/// Sums from burn's own operations: for every device and float type.
fn composed<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let columns = x.shape()[1];
    B::float_reshape(B::float_sum_dim(x, 0), Shape::new([columns]))
}
