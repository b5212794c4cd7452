//! The most probable tokens of each row of logits.

use burn::backend::DType;
use burn_cubecl::cubecl::ir::ElemType;
use burn_cubecl::cubecl::{self, prelude::*};
use burn_cubecl::tensor::CubeTensor;

use crate::gpu::launch::{UNITS, buffer, contiguous, cube_dim, cubes, elem, empty, rows_and_width};
use crate::gpu::ranking::{
    compare, cut_at, depth_of, exchange, own_columns, row_at, total_weight, weight_of,
};

/// Sum over the units before this one.
#[cube]
fn sum_before(value: f32, values: &mut Shared<[f32]>) -> f32 {
    let unit = UNIT_POS as usize;
    values[unit] = value;
    sync_cube();
    let mut sum = 0.0f32;
    for other in 0..unit {
        sum += values[other];
    }
    // All units must have read before one writes again.
    sync_cube();
    sum
}

#[cube(launch_unchecked)]
fn top_tokens_kernel<X: Float, I: Int>(
    logits: &[X],
    probabilities: &mut [f32],
    tokens: &mut [I],
    rows: usize,
    width: usize,
    k: usize,
    temperature: f32,
    #[define(X)] _x_type: ElemType,
    #[define(I)] _i_type: ElemType,
) {
    if CUBE_POS >= rows {
        terminate!();
    }
    let mut exchange = exchange();
    let start = CUBE_POS * width;
    let (row, _, damaged) = row_at(logits, start, width, temperature, &mut exchange);
    let total = total_weight(logits, &row, &mut exchange);
    let cut = cut_at(logits, &row, k as f32 - 1.0f32, &mut exchange, true);

    // Each unit writes its columns after those of the units before it. Of equal columns the first
    // ones are written.
    let (from, to) = own_columns(width);
    let mut equal = 0.0f32;
    let mut better = 0.0f32;
    for column in from..to {
        let (is_equal, is_better) = compare(logits, &row, column, &cut);
        equal += select(is_equal, 1.0f32, 0.0f32);
        better += select(is_better, 1.0f32, 0.0f32);
    }
    let mut equal = sum_before(equal, &mut exchange.values);
    let better = sum_before(better, &mut exchange.values);
    let most = cut.ordinal + 1.0f32;
    let mut place = (better + min(equal, most)) as usize;
    for column in from..to {
        let (is_equal, is_better) = compare(logits, &row, column, &cut);
        let is_kept = is_better || (is_equal && equal < most);
        equal += select(is_equal, 1.0f32, 0.0f32);
        if is_kept && place < k && damaged <= 0.0f32 {
            let weight = weight_of(depth_of(logits, &row, column), &row);
            probabilities[CUBE_POS * k + place] = weight / total;
            tokens[CUBE_POS * k + place] = I::cast_from(column);
            place += 1;
        }
    }
    if damaged > 0.0f32 {
        for place in range_stepped(UNIT_POS as usize, k, UNITS) {
            probabilities[CUBE_POS * k + place] = 0.0f32;
            // The sentinel for non-finite logits is not a valid id.
            tokens[CUBE_POS * k + place] = I::cast_from(width);
        }
    }
}

/// The `k` most probable tokens of each row of logits, `[rows, vocabulary_size]`, by ascending id,
/// and their probabilities: `[rows, k]` each.
///
/// In a row with non-finite logits all tokens are `vocabulary_size`.
pub(super) fn top_tokens(
    logits: CubeTensor,
    k: usize,
    temperature: f32,
) -> (CubeTensor, CubeTensor) {
    let logits = contiguous(logits);
    let (rows, width) = rows_and_width(&logits);
    let probabilities = empty(&logits, [rows, k], DType::F32);
    let tokens = empty(&logits, [rows, k], DType::I32);
    // SAFETY: the kernel stops cubes past the rows, reads only the row's own columns, and writes at
    // most `k` results a row.
    unsafe {
        top_tokens_kernel::launch_unchecked(
            &logits.client,
            cubes(rows),
            cube_dim(),
            buffer(&logits),
            buffer(&probabilities),
            buffer(&tokens),
            rows,
            width,
            k,
            temperature,
            elem(&logits),
            elem(&tokens),
        );
    }
    (probabilities, tokens)
}
