//! GELU, many numbers at a time.

use pulp::{Simd, WithSimd};

use super::simd::{dispatch, exp, load, store};
use super::threads::in_chunks;

/// Replaces every number by its GELU.
pub(crate) fn gelu(values: &mut [f32]) {
    // An exponential takes as long as some eight products.
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

/// `x / (1 + e^-2u)` with `u = sqrt(2 / pi) (x + 0.044715 x^3)`: what
/// `0.5 x (1 + tanh u)` is, without its loss of digits where the tangent is near -1.
#[inline(always)]
pub(crate) fn gelu_of<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    // -2 sqrt(2 / pi), and that times 0.044715.
    let square = simd.mul_f32s(x, x);
    let cubic = simd.splat_f32s(-0.071_354_814);
    let slope = simd.mul_add_e_f32s(square, cubic, simd.splat_f32s(-1.595_769));
    let power = exp(simd, simd.mul_f32s(x, slope));
    simd.div_f32s(x, simd.add_f32s(power, simd.splat_f32s(1.0)))
}
