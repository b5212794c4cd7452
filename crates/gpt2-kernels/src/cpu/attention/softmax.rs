//! Probabilities of one query.

use pulp::{Simd, WithSimd};

use crate::cpu::simd::{exp, load, store};

/// Turns the scores of the keys that a query sees into probabilities, in place.
pub(super) struct Softmax<'a> {
    pub(super) scores: &'a mut [f32],
    /// 1 where a key may be seen.
    pub(super) keep: Option<&'a [u8]>,
    /// Factor of the scores.
    pub(super) scale: f32,
}

impl WithSimd for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { scores, keep, scale } = self;
        if let Some(keep) = keep {
            for (score, keep) in scores.iter_mut().zip(keep) {
                if *keep == 0 {
                    *score = f32::NEG_INFINITY;
                }
            }
        }
        if keep.is_some_and(|keep| keep.iter().all(|keep| *keep == 0)) {
            scores.fill(0.0);
            return;
        }
        let largest = largest(simd, scores);
        let sum = exponentials(simd, scores, largest, scale);
        let inverse = simd.splat_f32s(1.0 / sum);
        let whole = scores.len() - scores.len() % S::F32_LANES;
        for at in (0..whole).step_by(S::F32_LANES) {
            let value = simd.mul_f32s(load(simd, scores, at), inverse);
            store(simd, scores, at, value);
        }
        for value in &mut scores[whole..] {
            *value *= 1.0 / sum;
        }
    }
}

/// The largest of some numbers, whatever is not one among them.
#[inline(always)]
fn largest<S: Simd>(simd: S, values: &[f32]) -> f32 {
    let whole = values.len() - values.len() % S::F32_LANES;
    let mut largest = simd.splat_f32s(f32::NEG_INFINITY);
    for at in (0..whole).step_by(S::F32_LANES) {
        largest = simd.max_f32s(largest, load(simd, values, at));
    }
    values[whole..].iter().copied().fold(simd.reduce_max_f32s(largest), f32::max)
}

/// Replaces every number by `e^((x - largest) scale)`, and returns the sum.
#[inline(always)]
fn exponentials<S: Simd>(simd: S, values: &mut [f32], largest: f32, scale: f32) -> f32 {
    let (largest, scale) = (simd.splat_f32s(largest), simd.splat_f32s(scale));
    let whole = values.len() - values.len() % S::F32_LANES;
    let mut sums = simd.splat_f32s(0.0);
    for at in (0..whole).step_by(S::F32_LANES) {
        let distance = simd.sub_f32s(load(simd, values, at), largest);
        let value = exp(simd, simd.mul_f32s(distance, scale));
        store(simd, values, at, value);
        sums = simd.add_f32s(sums, value);
    }
    let rest = &mut values[whole..];
    let distance = simd.sub_f32s(simd.partial_load_f32s(rest), largest);
    let value = exp(simd, simd.mul_f32s(distance, scale));
    simd.partial_store_f32s(rest, value);
    rest.iter().fold(simd.reduce_sum_f32s(sums), |sum, value| sum + value)
}
