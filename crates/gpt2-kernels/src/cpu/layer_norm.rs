//! Layer normalisation of rows.

use pulp::{Simd, WithSimd};

use super::simd::{dispatch, load, store};
use super::threads::{Shared, for_each};

/// Rows of a task.
const ROWS: usize = 16;

/// Normalises every row of `x`, as wide as `gamma`, into `output`.
pub(crate) fn layer_norm(x: &[f32], gamma: &[f32], beta: &[f32], epsilon: f32, output: &mut [f32]) {
    let (length, width) = (x.len(), gamma.len());
    let shared = Shared::new(output);
    for_each((length / width).div_ceil(ROWS), 4 * length, |task| {
        let start = task * ROWS * width;
        let end = (start + ROWS * width).min(length);
        // SAFETY: the rows belong to this task alone.
        let output = unsafe { shared.part(start, end - start) };
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
        for (x, output) in self.x.chunks_exact(width).zip(self.output.chunks_exact_mut(width)) {
            let (mean, inverse) = statistics(simd, x, self.epsilon);
            let (mean, inverse) = (simd.splat_f32s(mean), simd.splat_f32s(inverse));
            let scaled = |x, gamma, beta| {
                let normalized = simd.mul_f32s(simd.sub_f32s(x, mean), inverse);
                simd.mul_add_e_f32s(normalized, gamma, beta)
            };
            let whole = width - width % S::F32_LANES;
            for at in (0..whole).step_by(S::F32_LANES) {
                let (gamma, beta) = (load(simd, self.gamma, at), load(simd, self.beta, at));
                store(simd, output, at, scaled(load(simd, x, at), gamma, beta));
            }
            let gamma = simd.partial_load_f32s(&self.gamma[whole..]);
            let beta = simd.partial_load_f32s(&self.beta[whole..]);
            let rest = scaled(simd.partial_load_f32s(&x[whole..]), gamma, beta);
            simd.partial_store_f32s(&mut output[whole..], rest);
        }
    }
}

/// The mean of a row, and one over its standard deviation.
#[inline(always)]
pub(crate) fn statistics<S: Simd>(simd: S, x: &[f32], epsilon: f32) -> (f32, f32) {
    let count = x.len() as f32;
    let mean = sum(simd, x, |x| x) / count;
    let splat = simd.splat_f32s(mean);
    let square = |x| {
        let centered = simd.sub_f32s(x, splat);
        simd.mul_f32s(centered, centered)
    };
    // What a partial vector is filled with is not a number of the row.
    let lanes = S::F32_LANES;
    let missing = (lanes - x.len() % lanes) % lanes;
    let squares = sum(simd, x, square) - missing as f32 * mean * mean;
    (mean, 1.0 / (squares / count + epsilon).sqrt())
}

/// The sum of a function of the numbers, and of the zeros that fill the last vector.
#[inline(always)]
fn sum<S: Simd>(simd: S, x: &[f32], function: impl Fn(S::f32s) -> S::f32s) -> f32 {
    let lanes = S::F32_LANES;
    let mut sums = [simd.splat_f32s(0.0); 4];
    let whole = x.len() - x.len() % (4 * lanes);
    for at in (0..whole).step_by(4 * lanes) {
        for (index, sum) in sums.iter_mut().enumerate() {
            *sum = simd.add_f32s(*sum, function(load(simd, x, at + index * lanes)));
        }
    }
    for rest in x[whole..].chunks(lanes) {
        sums[0] = simd.add_f32s(sums[0], function(simd.partial_load_f32s(rest)));
    }
    let [a, b, c, d] = sums;
    simd.reduce_sum_f32s(simd.add_f32s(simd.add_f32s(a, b), simd.add_f32s(c, d)))
}
