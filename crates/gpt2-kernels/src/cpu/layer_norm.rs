//! Layer normalisation of rows.

use pulp::{Simd, WithSimd};

use super::simd::{dispatch, load, store};
use super::threads::{Shared, for_each};

/// Rows of a task.
const ROWS: usize = 16;

/// Normalises every row of `x`, as wide as `gamma`, into `output`.
pub(crate) fn layer_norm(x: &[f32], gamma: &[f32], beta: &[f32], epsilon: f32, output: Shared<'_>) {
    let (length, width) = (x.len(), gamma.len());
    for_each((length / width).div_ceil(ROWS), 4 * length, |task| {
        let start = task * ROWS * width;
        let end = (start + ROWS * width).min(length);
        // SAFETY: the rows belong to this task alone.
        let output = unsafe { output.part(start, end - start) };
        dispatch(Rows { x: &x[start..end], gamma, beta, epsilon, output });
    });
}

struct Rows<'a> {
    x: &'a [f32],
    gamma: &'a [f32],
    beta: &'a [f32],
    epsilon: f32,
    output: &'a mut [f32],
}

impl WithSimd for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let width = self.gamma.len();
        let whole = width - width % S::F32_LANES;
        for (x, output) in self.x.chunks_exact(width).zip(self.output.chunks_exact_mut(width)) {
            let (mean, inverse) = statistics(simd, x, self.epsilon);
            let (mean, inverse) = (simd.splat_f32s(mean), simd.splat_f32s(inverse));
            for at in (0..whole).step_by(S::F32_LANES) {
                let (gamma, beta) = (load(simd, self.gamma, at), load(simd, self.beta, at));
                let centered = simd.sub_f32s(load(simd, x, at), mean);
                let normalized = simd.mul_f32s(centered, inverse);
                store(simd, output, at, simd.mul_add_e_f32s(normalized, gamma, beta));
            }
            let gamma = simd.partial_load_f32s(&self.gamma[whole..]);
            let beta = simd.partial_load_f32s(&self.beta[whole..]);
            let centered = simd.sub_f32s(simd.partial_load_f32s(&x[whole..]), mean);
            let normalized = simd.mul_f32s(centered, inverse);
            let rest = simd.mul_add_e_f32s(normalized, gamma, beta);
            simd.partial_store_f32s(&mut output[whole..], rest);
        }
    }
}

/// The mean of a row, and one over its standard deviation.
#[inline(always)]
pub(crate) fn statistics<S: Simd>(simd: S, x: &[f32], epsilon: f32) -> (f32, f32) {
    let count = x.len() as f32;
    let mean = sum(simd, x) / count;
    let variance = sum_of_squares(simd, x, mean) / count;
    (mean, 1.0 / (variance + epsilon).sqrt())
}

/// The sum of some numbers.
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

/// The sum of the squares of their distances from `mean`.
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
