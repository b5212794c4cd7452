//! Attention of few queries, as in decoding: every key and value is read once, in place.

#![allow(
    clippy::needless_range_loop,
    reason = "loops over rows and vectors that the compiler unrolls index several arrays at once"
)]

use pulp::{Simd, WithSimd};

use super::heads::Head;
use super::inputs::Inputs;
use super::softmax::Softmax;
use crate::cpu::simd::{dispatch, load, prefetch, store};
use crate::cpu::threads::{Shared, for_each};

/// Number of keys or values that are read side by side.
const UNROLL: usize = 8;
/// Prefetch distance, in multiples of [`UNROLL`].
const AHEAD: usize = 6;

/// Computes the attention of all queries.
pub(super) fn attend_single(inputs: Inputs<'_>, output: Shared<'_>) {
    let (heads, width) = (inputs.options.num_heads, inputs.width());
    for_each(inputs.batch_size * heads, inputs.work(), |task| {
        let (sequence, head) = (task / heads, task % heads);
        let query = inputs.query.head(sequence, head);
        let (key, value) = (inputs.key.head(sequence, head), inputs.value.head(sequence, head));
        let mut scores = vec![0f32; inputs.keys];
        for index in 0..inputs.queries {
            let seen = inputs.keys - inputs.queries + index + 1;
            let start = ((sequence * inputs.queries + index) * heads + head) * width;
            // SAFETY: the output of this query and head belongs to this task alone.
            let output = unsafe { output.part(start, width) };
            let query = query.at(index);
            let keep = inputs.keep(sequence).map(|keep| &keep[..seen]);
            let scale = inputs.options.scale as f32;
            let scores = &mut scores[..seen];
            dispatch(Single { query, key, value, keep, scale, scores, output });
        }
    });
}

/// One query and head.
struct Single<'a> {
    query: &'a [f32],
    key: Head<'a>,
    value: Head<'a>,
    keep: Option<&'a [u8]>,
    scale: f32,
    scores: &'a mut [f32],
    output: &'a mut [f32],
}

impl WithSimd for Single<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { query, key, value, keep, scale, scores, output } = self;
        let seen = scores.len();
        let whole = seen - seen % UNROLL;
        for first in (0..whole).step_by(UNROLL) {
            dots::<S, UNROLL>(simd, query, key, first, scores);
        }
        for position in whole..seen {
            dots::<S, 1>(simd, query, key, position, scores);
        }
        Softmax { scores: &mut *scores, keep, scale }.with_simd(simd);
        output.fill(0.0);
        for first in (0..whole).step_by(UNROLL) {
            add_values::<S, UNROLL>(simd, scores, value, first, output);
        }
        for position in whole..seen {
            add_values::<S, 1>(simd, scores, value, position, output);
        }
    }
}

/// The scores of `U` keys from `first` on.
#[inline(always)]
fn dots<S: Simd, const U: usize>(
    simd: S,
    query: &[f32],
    key: Head<'_>,
    first: usize,
    scores: &mut [f32],
) {
    let (width, lanes) = (query.len(), S::F32_LANES);
    let whole = width - width % lanes;
    let keys: [&[f32]; U] = std::array::from_fn(|u| key.at(first + u));
    let mut sums = [simd.splat_f32s(0.0); U];
    for at in (0..whole).step_by(lanes) {
        // Prefetches keys in the order in which a cache holds them: see `narrow_product`.
        prefetch(keys[0], (AHEAD - 1) * U * width + U * at, U * lanes);
        let query = load(simd, query, at);
        for u in 0..U {
            sums[u] = simd.mul_add_e_f32s(query, load(simd, keys[u], at), sums[u]);
        }
    }
    if whole < width {
        let query = simd.partial_load_f32s(&query[whole..]);
        for u in 0..U {
            let key = simd.partial_load_f32s(&keys[u][whole..]);
            sums[u] = simd.mul_add_e_f32s(query, key, sums[u]);
        }
    }
    for u in 0..U {
        scores[first + u] = simd.reduce_sum_f32s(sums[u]);
    }
}

/// Adds `U` values from `first` on, each times its probability.
#[inline(always)]
fn add_values<S: Simd, const U: usize>(
    simd: S,
    probabilities: &[f32],
    value: Head<'_>,
    first: usize,
    output: &mut [f32],
) {
    let (width, lanes) = (output.len(), S::F32_LANES);
    let whole = width - width % lanes;
    let values: [&[f32]; U] = std::array::from_fn(|u| value.at(first + u));
    let probabilities: [f32; U] = std::array::from_fn(|u| probabilities[first + u]);
    for at in (0..whole).step_by(lanes) {
        prefetch(values[0], (AHEAD - 1) * U * width + U * at, U * lanes);
        let mut sum = load(simd, output, at);
        for u in 0..U {
            let probability = simd.splat_f32s(probabilities[u]);
            sum = simd.mul_add_e_f32s(probability, load(simd, values[u], at), sum);
        }
        store(simd, output, at, sum);
    }
    if whole < width {
        let mut sum = simd.partial_load_f32s(&output[whole..]);
        for u in 0..U {
            let probability = simd.splat_f32s(probabilities[u]);
            let value = simd.partial_load_f32s(&values[u][whole..]);
            sum = simd.mul_add_e_f32s(probability, value, sum);
        }
        simd.partial_store_f32s(&mut output[whole..], sum);
    }
}
