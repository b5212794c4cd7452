//! Probabilities of one query.

use pulp::{Simd, WithSimd};

use crate::cpu::exponentials::{exponentials, largest};
use crate::cpu::simd::{load, store};

/// Turns the scores of the keys that a query sees into probabilities, in place.
pub(super) struct Softmax<'a> {
    pub(super) scores: &'a mut [f32],
    /// Padding mask: 1 where a key may be seen.
    pub(super) keep: Option<&'a [u8]>,
    /// Scale of the scores.
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
