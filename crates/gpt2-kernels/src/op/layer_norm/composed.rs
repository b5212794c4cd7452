//! Layer normalisation from burn's own operations: for every device and float type.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, DType, TensorMetadata};
use burn::tensor::Shape;

pub(super) fn layer_norm<B: Backend>(
    x: FloatTensor<B>,
    gamma: FloatTensor<B>,
    beta: FloatTensor<B>,
    epsilon: f64,
) -> FloatTensor<B> {
    let dtype = x.dtype();
    let [x, gamma, beta] = [x, gamma, beta].map(widen::<B>);
    cast::<B>(B::layer_norm(x, gamma, Some(beta), epsilon), dtype)
}

pub(super) fn layer_norm_backward<B: Backend>(
    x: FloatTensor<B>,
    gamma: FloatTensor<B>,
    gradient: FloatTensor<B>,
    epsilon: f64,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let (width, dtypes) = (x.shape()[1], [x.dtype(), gamma.dtype()]);
    let [x, gamma, gradient] = [x, gamma, gradient].map(widen::<B>);
    let centered = B::float_sub(x.clone(), B::float_mean_dim(x, 1));
    let square = B::float_mul(centered.clone(), centered.clone());
    let variance = B::float_mean_dim(square, 1);
    let deviation = B::float_sqrt(B::float_add_scalar(variance, epsilon.into()));
    let normalized = B::float_div(centered, deviation.clone());
    let gamma_gradient = B::float_sum_dim(B::float_mul(gradient.clone(), normalized.clone()), 0);
    let beta_gradient = B::float_sum_dim(gradient.clone(), 0);
    let scaled = B::float_mul(gradient, B::float_reshape(gamma, Shape::new([1, width])));
    let mean = B::float_mean_dim(scaled.clone(), 1);
    let along = B::float_mean_dim(B::float_mul(scaled.clone(), normalized.clone()), 1);
    let x_gradient = B::float_sub(B::float_sub(scaled, mean), B::float_mul(normalized, along));
    let row = Shape::new([width]);
    (
        cast::<B>(B::float_div(x_gradient, deviation), dtypes[0]),
        cast::<B>(B::float_reshape(gamma_gradient, row.clone()), dtypes[1]),
        cast::<B>(B::float_reshape(beta_gradient, row), dtypes[1]),
    )
}

/// Converts 16-bit floats to 32-bit ones.
fn widen<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    match x.dtype() {
        DType::F16 | DType::BF16 => B::float_cast(x, DType::F32.into()),
        _ => x,
    }
}

fn cast<B: Backend>(x: FloatTensor<B>, dtype: DType) -> FloatTensor<B> {
    if x.dtype() == dtype { x } else { B::float_cast(x, dtype.into()) }
}
