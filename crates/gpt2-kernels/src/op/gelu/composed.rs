//! GELU from burn's own operations: for every device and float type.

use burn::backend::Backend;
use burn::backend::tensor::FloatTensor;

/// `sqrt(2 / pi)`
const SQRT_2_OVER_PI: f64 = 0.797_884_560_802_865_4;
/// Coefficient of the cube.
const CUBIC: f64 = 0.044_715;

/// `0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))`.
///
/// burn's own GELU computes the cube with `powf`, a library call for each number. Two products are
/// exact to one or two bits, and many times faster.
pub(crate) fn gelu<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let tanh = gelu_tanh::<B>(x.clone());
    let half = B::float_mul_scalar(B::float_add_scalar(tanh, 1.0.into()), 0.5.into());
    B::float_mul(x, half)
}

/// Gradient by `x`.
pub(crate) fn gelu_backward<B: Backend>(
    x: FloatTensor<B>,
    gradient: FloatTensor<B>,
) -> FloatTensor<B> {
    let tanh = gelu_tanh::<B>(x.clone());
    // Beyond 10 the hyperbolic tangent's slope is zero, and a square would overflow 16-bit floats.
    let near = B::float_clamp(x, (-10.0).into(), 10.0.into());
    let square = B::float_mul(near.clone(), near.clone());
    let inner = B::float_add_scalar(B::float_mul_scalar(square, (3.0 * CUBIC).into()), 1.0.into());
    let tanh_slope = B::float_neg(B::float_mul(tanh.clone(), tanh.clone()));
    let tanh_slope = B::float_add_scalar(tanh_slope, 1.0.into());
    let slope = B::float_mul(B::float_mul(tanh_slope, near), inner);
    let slope = B::float_mul_scalar(slope, (0.5 * SQRT_2_OVER_PI).into());
    let half = B::float_mul_scalar(B::float_add_scalar(tanh, 1.0.into()), 0.5.into());
    B::float_mul(B::float_add(slope, half), gradient)
}

/// `tanh(sqrt(2 / pi) (x + 0.044715 x^3))`
fn gelu_tanh<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let square = B::float_mul(x.clone(), x.clone());
    let cubic = B::float_mul_scalar(B::float_mul(square, x.clone()), CUBIC.into());
    let inner = B::float_mul_scalar(B::float_add(x, cubic), SQRT_2_OVER_PI.into());
    B::float_tanh(inner)
}
