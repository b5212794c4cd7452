//! Attention of few queries, as in decoding: every key and value is read once, where it lies.

use pulp::{Simd, WithSimd};

use super::Inputs;
use super::heads::Heads;
use super::softmax::Softmax;
use crate::cpu::simd::{dispatch, load, store};
use crate::cpu::threads::{Shared, for_each};

/// Writes the attention of all queries.
pub(crate) fn attend_single(inputs: Inputs<'_>, output: Shared<'_>) {
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
    key: Heads<'a>,
    value: Heads<'a>,
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
        for (position, score) in scores.iter_mut().enumerate() {
            *score = dot(simd, query, key.at(position));
        }
        Softmax { scores: &mut *scores, keep, scale }.with_simd(simd);
        output.fill(0.0);
        for (position, probability) in scores.iter().enumerate() {
            add_scaled(simd, output, *probability, value.at(position));
        }
    }
}

/// The dot product of two vectors of equal length.
#[inline(always)]
fn dot<S: Simd>(simd: S, a: &[f32], b: &[f32]) -> f32 {
    let whole = a.len() - a.len() % S::F32_LANES;
    let mut sum = simd.splat_f32s(0.0);
    for at in (0..whole).step_by(S::F32_LANES) {
        sum = simd.mul_add_e_f32s(load(simd, a, at), load(simd, b, at), sum);
    }
    if whole < a.len() {
        let (a, b) = (simd.partial_load_f32s(&a[whole..]), simd.partial_load_f32s(&b[whole..]));
        sum = simd.mul_add_e_f32s(a, b, sum);
    }
    simd.reduce_sum_f32s(sum)
}

/// Adds a multiple of a vector.
#[inline(always)]
fn add_scaled<S: Simd>(simd: S, sum: &mut [f32], factor: f32, x: &[f32]) {
    let factor = simd.splat_f32s(factor);
    let whole = sum.len() - sum.len() % S::F32_LANES;
    for at in (0..whole).step_by(S::F32_LANES) {
        let value = simd.mul_add_e_f32s(factor, load(simd, x, at), load(simd, sum, at));
        store(simd, sum, at, value);
    }
    if whole < sum.len() {
        let rest = &mut sum[whole..];
        let x = simd.partial_load_f32s(&x[whole..]);
        let value = simd.mul_add_e_f32s(factor, x, simd.partial_load_f32s(rest));
        simd.partial_store_f32s(rest, value);
    }
}
