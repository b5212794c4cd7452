//! Uses of weights: the only module that depends on how a weight is stored.
//!
//! A weight is used in the float type of its input. In mixed precision, activations may have
//! another type than parameters; gradients flow through the cast.

use burn::module::Param;
use burn::tensor::module::embedding;
use burn::tensor::{DType, Int, Tensor};
use gpt2_kernels::{
    linear, linear_add, linear_gelu, projections, reverse_embedding, step_embedding,
};

/// Matrix of weights, stored as floats.
pub(crate) type Matrix = Param<Tensor<2>>;

/// Vector that is added to a product.
pub(crate) type Bias = Param<Tensor<1>>;

/// Float type of a matrix's rows when they are looked up.
pub(crate) fn dtype(matrix: &Matrix) -> DType {
    matrix.dtype()
}

/// Computes `x W`.
pub(crate) fn product(x: Tensor<2>, matrix: &Matrix) -> Tensor<2> {
    let matrix = values(matrix, x.dtype());
    x.matmul(matrix)
}

/// Computes `x W + b`.
pub(crate) fn dense(x: Tensor<2>, kernel: &Matrix, bias: &Bias) -> Tensor<2> {
    let dtype = x.dtype();
    linear(x, values(kernel, dtype), values(bias, dtype))
}

/// Computes `gelu(x W + b)`.
pub(crate) fn dense_gelu(x: Tensor<2>, kernel: &Matrix, bias: &Bias) -> Tensor<2> {
    let dtype = x.dtype();
    linear_gelu(x, values(kernel, dtype), values(bias, dtype))
}

/// Computes `residual + x W + b`.
pub(crate) fn dense_add(
    residual: Tensor<2>,
    x: Tensor<2>,
    kernel: &Matrix,
    bias: &Bias,
) -> Tensor<2> {
    let dtype = x.dtype();
    linear_add(x, values(kernel, dtype), values(bias, dtype), residual)
}

/// Computes `x W + b` with three kernels of the same size.
pub(crate) fn dense_three(
    x: Tensor<2>,
    kernels: [&Matrix; 3],
    biases: [&Bias; 3],
) -> [Tensor<2>; 3] {
    let dtype = x.dtype();
    let kernels = kernels.map(|kernel| values(kernel, dtype));
    projections(x, kernels, biases.map(|bias| values(bias, dtype)))
}

/// Looks up the row of each id.
pub(crate) fn rows(table: &Matrix, ids: Tensor<2, Int>) -> Tensor<3> {
    embedding(table.val(), ids)
}

/// Sums each token's row and the row of a position that is on the device.
pub(crate) fn step_rows(
    tokens: Tensor<1, Int>,
    position: Tensor<1, Int>,
    [token_table, position_table]: [&Matrix; 2],
) -> Tensor<3> {
    step_embedding(tokens, position, token_table.val(), position_table.val())
}

/// Computes logits by a token embedding: `hidden @ table^T`.
pub(crate) fn head(hidden: Tensor<2>, table: &Matrix) -> Tensor<2> {
    let table = values(table, hidden.dtype());
    reverse_embedding(hidden, table)
}

fn values<const D: usize>(parameter: &Param<Tensor<D>>, dtype: DType) -> Tensor<D> {
    let values = parameter.val();
    if values.dtype() == dtype { values } else { values.cast(dtype) }
}
