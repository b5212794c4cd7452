//! Maximum and exponentials of a row: the parts of a softmax.

use pulp::Simd;

use super::simd::{exp, load, store};

/// Maximum of the numbers. NaNs are unspecified.
#[inline(always)]
pub(crate) fn largest<S: Simd>(simd: S, values: &[f32]) -> f32 {
    let lanes = S::F32_LANES;
    let whole = values.len() - values.len() % (4 * lanes);
    let mut largest = [simd.splat_f32s(f32::NEG_INFINITY); 4];
    for at in (0..whole).step_by(4 * lanes) {
        for (index, largest) in largest.iter_mut().enumerate() {
            *largest = simd.max_f32s(load(simd, values, at + index * lanes), *largest);
        }
    }
    let [a, b, c, d] = largest;
    let joined = simd.max_f32s(simd.max_f32s(a, b), simd.max_f32s(c, d));
    values[whole..].iter().copied().fold(simd.reduce_max_f32s(joined), f32::max)
}

/// Replaces every number by `e^((x - largest) scale)` and returns the sum.
#[inline(always)]
pub(crate) fn exponentials<S: Simd>(simd: S, values: &mut [f32], largest: f32, scale: f32) -> f32 {
    let lanes = S::F32_LANES;
    let (largest, scale) = (simd.splat_f32s(largest), simd.splat_f32s(scale));
    let mut sums = [simd.splat_f32s(0.0); 2];
    let whole = values.len() - values.len() % (2 * lanes);
    for at in (0..whole).step_by(2 * lanes) {
        for (index, sum) in sums.iter_mut().enumerate() {
            let at = at + index * lanes;
            let distance = simd.sub_f32s(load(simd, values, at), largest);
            let power = exp(simd, simd.mul_f32s(distance, scale));
            *sum = simd.add_f32s(*sum, power);
            store(simd, values, at, power);
        }
    }
    let sum = simd.reduce_sum_f32s(simd.add_f32s(sums[0], sums[1]));
    for rest in values[whole..].chunks_mut(lanes) {
        let distance = simd.sub_f32s(simd.partial_load_f32s(rest), largest);
        simd.partial_store_f32s(rest, exp(simd, simd.mul_f32s(distance, scale)));
    }
    values[whole..].iter().fold(sum, |sum, power| sum + power)
}
