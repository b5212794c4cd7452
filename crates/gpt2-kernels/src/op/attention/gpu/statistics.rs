//! Statistics of each query, which its keys' gradients need.

use burn_cubecl::cubecl::ir::ElemType;
use burn_cubecl::cubecl::{self, prelude::*};

use super::variant::{LOWEST, ProbabilityDropout, Sizes, Variant, factor_of};
use crate::gpu::launch::UNITS;
use crate::gpu::reduce::{cube_max, cube_sum};

/// The scalar product of two vectors of a head.
#[cube]
fn dot<X: Float, N: Size>(
    left: &[Vector<X, N>],
    left_start: usize,
    right: &[Vector<X, N>],
    right_start: usize,
    #[comptime] lanes: usize,
) -> f32 {
    let mut sum = Vector::<f32, N>::new(0.0f32);
    for place in 0..lanes {
        let left = Vector::<f32, N>::cast_from(left[left_start + place]);
        sum += left * Vector::cast_from(right[right_start + place]);
    }
    Vector::vector_sum(sum)
}

/// Statistics of each query, `[batch_size, heads, queries, 2]`: the log-sum-exp of its scores, and
/// the mean of its gradients by probabilities, weighted by these. One cube a query.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "six buffers")]
pub(super) fn statistics_kernel<X: Float, M: Numeric, N: Size>(
    query: &[Vector<X, N>],
    key: &[Vector<X, N>],
    value: &[Vector<X, N>],
    gradient: &[Vector<X, N>],
    mask: &[M],
    statistics: &mut [f32],
    sizes: Sizes,
    dropout: ProbabilityDropout,
    count: usize,
    #[comptime] variant: Variant,
    #[define(X)] _x_type: ElemType,
    #[define(M)] _m_type: ElemType,
) {
    if CUBE_POS >= count {
        terminate!();
    }
    let unit = UNIT_POS as usize;
    let lanes = comptime!(variant.lanes);
    let width = sizes.heads * lanes;
    let (sequence_head, row) = (CUBE_POS / sizes.queries, CUBE_POS % sizes.queries);
    let (sequence, head) = (sequence_head / sizes.heads, sequence_head % sizes.heads);
    let base = sequence * sizes.queries * width + head * lanes;
    let own = base + row * width;

    // Each unit goes through its own keys; the units' results are joined at the end.
    let mut largest = f32::new(LOWEST);
    let mut sum = 0.0f32;
    let mut slopes = 0.0f32;
    for token in range_stepped(unit, row + 1, UNITS) {
        let mut seen = token <= row;
        if comptime!(variant.masked) {
            seen = mask[sequence * sizes.queries + token] != M::from_int(0);
        }
        if seen {
            let place = base + token * width;
            let score = dot(query, own, key, place, lanes) * sizes.scale;
            let mut slope = dot(gradient, own, value, place, lanes);
            if comptime!(variant.dropped) {
                slope *= factor_of(sequence_head, row, token, &sizes, &dropout);
            }
            let most = max(largest, score);
            let correction = (largest - most).exp();
            let exponential = (score - most).exp();
            sum = sum * correction + exponential;
            slopes = slopes * correction + exponential * slope;
            largest = most;
        }
    }
    let mut shared = Shared::<[f32]>::new_slice(UNITS);
    let most = cube_max(largest, &mut shared);
    let correction = (largest - most).exp();
    let sum = cube_sum(sum * correction, &mut shared);
    let slopes = cube_sum(slopes * correction, &mut shared);
    if unit == 0 {
        let place = 2 * CUBE_POS;
        // A query that sees no key has no gradient: this makes its probabilities zero.
        statistics[place] = select(sum <= 0.0f32, -LOWEST, most + sum.ln());
        statistics[place + 1] = select(sum <= 0.0f32, 0.0f32, slopes / sum);
    }
}
