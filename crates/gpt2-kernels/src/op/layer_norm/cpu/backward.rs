//! The gradients of layer normalisation.

use pulp::{Simd, WithSimd};

use super::statistics::statistics;
use crate::cpu::simd::{dispatch, load, store};
use crate::cpu::threads::{Shared, for_each};
use crate::op::column_sums::cpu::{ROWS, sum_of_blocks};

/// Puts the gradient by `x` in place of the one by the result, and returns those by `gamma` and
/// `beta`: the sums of blocks of rows, added in order.
pub(super) fn layer_norm_backward(
    x: &[f32],
    gamma: &[f32],
    gradients: &mut [f32],
    epsilon: f32,
) -> (Vec<f32>, Vec<f32>) {
    let (length, width) = (x.len(), gamma.len());
    let tasks = (length / width).div_ceil(ROWS);
    let mut sums = vec![0f32; tasks * 2 * width];
    let (gradients, shared) = (Shared::new(gradients), Shared::new(&mut sums));
    for_each(tasks, 8 * length, |task| {
        let start = task * ROWS * width;
        let count = (ROWS * width).min(length - start);
        // SAFETY: the rows and the sums of a task are its own.
        let (gradients, sums) =
            unsafe { (gradients.part(start, count), shared.part(task * 2 * width, 2 * width)) };
        let (by_gamma, by_beta) = sums.split_at_mut(width);
        dispatch(Rows {
            x: &x[start..start + count],
            gamma,
            gradients,
            epsilon,
            by_gamma,
            by_beta,
        });
    });
    let mut total = sum_of_blocks(&sums, 2 * width);
    let by_beta = total.split_off(width);
    (total, by_beta)
}

struct Rows<'a> {
    x: &'a [f32],
    gamma: &'a [f32],
    gradients: &'a mut [f32],
    epsilon: f32,
    by_gamma: &'a mut [f32],
    by_beta: &'a mut [f32],
}

impl WithSimd for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { x, gamma, gradients, epsilon, by_gamma, by_beta } = self;
        let (width, lanes) = (gamma.len(), S::F32_LANES);
        for (x, gradients) in x.chunks_exact(width).zip(gradients.chunks_exact_mut(width)) {
            let (mean, inverse) = statistics(simd, x, epsilon);
            let (mean, inverse) = (simd.splat_f32s(mean), simd.splat_f32s(inverse));
            let normalized = |x: S::f32s| simd.mul_f32s(simd.sub_f32s(x, mean), inverse);
            // The means of the gradient by the normalised numbers, and of its products with them.
            // A last vector is filled with zeros, which add nothing.
            let (mut level, mut along) = (simd.splat_f32s(0.0), simd.splat_f32s(0.0));
            let pieces = x.chunks(lanes).zip(gamma.chunks(lanes)).zip(gradients.chunks_mut(lanes));
            let sums = by_gamma.chunks_mut(lanes).zip(by_beta.chunks_mut(lanes));
            for (((x, gamma), gradient), (by_gamma, by_beta)) in pieces.zip(sums) {
                let whole = x.len() == lanes;
                let read = |piece: &[f32]| match whole {
                    true => load(simd, piece, 0),
                    false => simd.partial_load_f32s(piece),
                };
                let write = |piece: &mut [f32], value| match whole {
                    true => store(simd, piece, 0, value),
                    false => simd.partial_store_f32s(piece, value),
                };
                let (normalized, slope) = (normalized(read(x)), read(gradient));
                write(by_gamma, simd.mul_add_e_f32s(slope, normalized, read(by_gamma)));
                write(by_beta, simd.add_f32s(slope, read(by_beta)));
                let slope = simd.mul_f32s(slope, read(gamma));
                level = simd.add_f32s(level, slope);
                along = simd.mul_add_e_f32s(slope, normalized, along);
                write(gradient, slope);
            }
            let share = simd.splat_f32s(1.0 / width as f32);
            let level = simd.mul_f32s(simd.splat_f32s(simd.reduce_sum_f32s(level)), share);
            let along = simd.mul_f32s(simd.splat_f32s(simd.reduce_sum_f32s(along)), share);
            let by_x = |x: S::f32s, slope: S::f32s| {
                let slope = simd.sub_f32s(slope, level);
                let slope = simd.negate_mul_add_e_f32s(normalized(x), along, slope);
                simd.mul_f32s(slope, inverse)
            };
            let whole = width - width % lanes;
            for at in (0..whole).step_by(lanes) {
                let value = by_x(load(simd, x, at), load(simd, gradients, at));
                store(simd, gradients, at, value);
            }
            let rest = &mut gradients[whole..];
            let value = by_x(simd.partial_load_f32s(&x[whole..]), simd.partial_load_f32s(rest));
            simd.partial_store_f32s(rest, value);
        }
    }
}
