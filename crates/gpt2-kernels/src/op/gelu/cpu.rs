//! GELU and its gradient on the CPU, a vector at a time.

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;
use pulp::{Simd, WithSimd};

use super::{GeluOps, composed};
use crate::cpu::simd::{dispatch, exp, load, store};
use crate::cpu::tensors::{changed, has_kernel, in_order, slice};
use crate::cpu::threads::in_chunks;

impl GeluOps for Flex {
    fn fused_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        if has_kernel(&[&x]) { changed(x, gelu) } else { composed::gelu::<Self>(x) }
    }

    fn fused_gelu_backward(x: FloatTensor<Self>, gradient: FloatTensor<Self>) -> FloatTensor<Self> {
        if !has_kernel(&[&x, &gradient]) {
            return composed::gelu_backward::<Self>(x, gradient);
        }
        let x = in_order(x);
        changed(gradient, |gradient| gelu_backward(slice(&x), gradient))
    }
}

/// Replaces every number by its GELU.
fn gelu(values: &mut [f32]) {
    // An exponential costs about eight products.
    in_chunks(values, 8, |_, values| dispatch(Gelu { values }));
}

struct Gelu<'a> {
    values: &'a mut [f32],
}

impl WithSimd for Gelu<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let whole = self.values.len() - self.values.len() % S::F32_LANES;
        for at in (0..whole).step_by(S::F32_LANES) {
            let x = load(simd, self.values, at);
            store(simd, self.values, at, gelu_of(simd, x));
        }
        let rest = &mut self.values[whole..];
        let x = simd.partial_load_f32s(rest);
        simd.partial_store_f32s(rest, gelu_of(simd, x));
    }
}

/// `x / (1 + e^-2u)` with `u = sqrt(2 / pi) (x + 0.044715 x^3)`. Equals `0.5 x (1 + tanh u)`,
/// without the loss of digits where the hyperbolic tangent is near -1.
#[inline(always)]
pub(crate) fn gelu_of<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    // -2 sqrt(2 / pi), and that times 0.044715.
    let square = simd.mul_f32s(x, x);
    let cubic = simd.splat_f32s(-0.071_354_814);
    let slope = simd.mul_add_e_f32s(square, cubic, simd.splat_f32s(-1.595_769));
    let power = exp(simd, simd.mul_f32s(x, slope));
    simd.div_f32s(x, simd.add_f32s(power, simd.splat_f32s(1.0)))
}

/// Multiplies every gradient by the slope of GELU at the input of the same index.
fn gelu_backward(x: &[f32], gradients: &mut [f32]) {
    // An exponential costs about eight products.
    in_chunks(gradients, 8, |start, gradients| {
        let x = &x[start..start + gradients.len()];
        dispatch(Backward { x, gradients });
    });
}

struct Backward<'a> {
    x: &'a [f32],
    gradients: &'a mut [f32],
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { x, gradients } = self;
        let whole = x.len() - x.len() % S::F32_LANES;
        for at in (0..whole).step_by(S::F32_LANES) {
            let slope = slope_of(simd, load(simd, x, at));
            let gradient = load(simd, gradients, at);
            store(simd, gradients, at, simd.mul_f32s(gradient, slope));
        }
        let slope = slope_of(simd, simd.partial_load_f32s(&x[whole..]));
        let rest = &mut gradients[whole..];
        let gradient = simd.partial_load_f32s(rest);
        simd.partial_store_f32s(rest, simd.mul_f32s(gradient, slope));
    }
}

/// `s + x s (1 - s) 2u'` with `s = 1 / (1 + e^-2u)` and `u = sqrt(2 / pi) (x + 0.044715 x^3)`.
#[inline(always)]
fn slope_of<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    // Beyond 10 the slope is 0 or 1 in 32-bit floats, and a power could overflow them.
    let limit = simd.splat_f32s(10.0);
    let near = simd.max_f32s(simd.min_f32s(x, limit), simd.neg_f32s(limit));
    // NaN stays NaN.
    let x = simd.select_f32s(simd.equal_f32s(x, x), near, x);
    let square = simd.mul_f32s(x, x);
    // -2 sqrt(2 / pi), and that times 0.044715.
    let cubic = simd.splat_f32s(-0.071_354_814);
    let inner = simd.mul_add_e_f32s(square, cubic, simd.splat_f32s(-1.595_769));
    let power = exp(simd, simd.mul_f32s(x, inner));
    let one = simd.splat_f32s(1.0);
    let share = simd.div_f32s(one, simd.add_f32s(power, one));
    // `e^-2u s` equals `1 - s`, without the loss of digits.
    let other = simd.mul_f32s(power, share);
    // 2 sqrt(2 / pi), and three times that times 0.044715.
    let cubic = simd.splat_f32s(0.214_064_44);
    let rise = simd.mul_add_e_f32s(square, cubic, simd.splat_f32s(1.595_769));
    simd.mul_add_e_f32s(simd.mul_f32s(share, other), simd.mul_f32s(x, rise), share)
}
