//! Products from burn's own operations: for every device and float type.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::Shape;

use super::LinearOps;
use super::epilogue::Epilogue;
use super::triple::Triple;
use crate::op::gelu::composed::gelu;

pub(super) fn linear<B: Backend>(
    x: FloatTensor<B>,
    kernel: FloatTensor<B>,
    bias: FloatTensor<B>,
    epilogue: Epilogue<B>,
) -> FloatTensor<B> {
    let outputs = kernel.shape()[1];
    let bias = B::float_reshape(bias, Shape::new([1, outputs]));
    let product = B::float_add(B::float_matmul(x, kernel), bias);
    match epilogue {
        Epilogue::None => product,
        Epilogue::Gelu => gelu::<B>(product),
        Epilogue::Add(residual) => B::float_add(residual, product),
    }
}

/// Three products, one by one.
pub(super) fn projections<B: LinearOps>(
    x: FloatTensor<B>,
    kernels: Triple<B>,
    biases: Triple<B>,
) -> Triple<B> {
    let [kernel_0, kernel_1, kernel_2] = kernels.into_array();
    let [bias_0, bias_1, bias_2] = biases.into_array();
    let linear = |kernel, bias| B::fused_linear(x.clone(), kernel, bias, Epilogue::None);
    [linear(kernel_0, bias_0), linear(kernel_1, bias_1), linear(kernel_2, bias_2)].into()
}
