//! Layer normalisation of rows.

use pulp::{Simd, WithSimd};

use super::statistics::statistics;
use crate::cpu::simd::{dispatch, load, store};
use crate::cpu::threads::{Shared, for_each};

/// Number of rows a task.
const ROWS: usize = 16;

/// Normalises every row of `x` into `output`. A row is as wide as `gamma`.
pub(super) fn layer_norm(x: &[f32], gamma: &[f32], beta: &[f32], epsilon: f32, output: Shared<'_>) {
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
