//! Mean and standard deviation of a row.

use pulp::Simd;

use crate::cpu::simd::load;

/// Mean of a row, and one over its standard deviation.
#[inline(always)]
pub(super) fn statistics<S: Simd>(simd: S, x: &[f32], epsilon: f32) -> (f32, f32) {
    let count = x.len() as f32;
    let mean = sum(simd, x) / count;
    let variance = sum_of_squares(simd, x, mean) / count;
    (mean, 1.0 / (variance + epsilon).sqrt())
}

/// Sum of numbers.
#[inline(always)]
fn sum<S: Simd>(simd: S, x: &[f32]) -> f32 {
    let whole = x.len() - x.len() % S::F32_LANES;
    let mut sums = simd.splat_f32s(0.0);
    for at in (0..whole).step_by(S::F32_LANES) {
        sums = simd.add_f32s(sums, load(simd, x, at));
    }
    sums = simd.add_f32s(sums, simd.partial_load_f32s(&x[whole..]));
    simd.reduce_sum_f32s(sums)
}

/// Sum of the squared distances from `mean`.
#[inline(always)]
fn sum_of_squares<S: Simd>(simd: S, x: &[f32], mean: f32) -> f32 {
    let whole = x.len() - x.len() % S::F32_LANES;
    let splat = simd.splat_f32s(mean);
    let mut sums = simd.splat_f32s(0.0);
    for at in (0..whole).step_by(S::F32_LANES) {
        let centered = simd.sub_f32s(load(simd, x, at), splat);
        sums = simd.mul_add_e_f32s(centered, centered, sums);
    }
    let rest = x[whole..].iter().map(|x| (x - mean) * (x - mean));
    rest.fold(simd.reduce_sum_f32s(sums), |sum, square| sum + square)
}
