//! The next token of each row of logits.

use burn::backend::DType;
use burn_cubecl::cubecl::ir::ElemType;
use burn_cubecl::cubecl::{self, prelude::*};
use burn_cubecl::tensor::CubeTensor;

use crate::gpu::launch::{UNITS, buffer, contiguous, cube_dim, cubes, elem, empty, rows_and_width};
use crate::gpu::ranking::{
    Exchange, Row, cut_at, depth_of, draw_of_all, draw_of_first, end_of, exchange, first_of,
    row_at, total_weight,
};
use crate::gpu::reduce::cube_best;
use crate::op::choice::token_choice::TokenChoice;

/// Depth from which on a logit's probability differs from the largest in 32-bit floats.
const NEAR: f32 = 1.0 / (1 << 20) as f32;

/// Kind of choice; the kernel is compiled for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Greedy,
    Random,
    /// A draw among the most probable tokens: at most `k` of them, or those up to a total
    /// probability.
    First {
        by_count: bool,
        by_probability: bool,
    },
}

/// The first column with the largest probability: different logits may have the same probability.
#[cube]
fn most_probable<X: Float>(logits: &[X], row: &Row, first: u32, exchange: &mut Exchange) -> usize {
    let sum = total_weight(logits, row, exchange);
    let most = 1.0f32 / sum;
    let mut equal = u32::cast_from(row.width);
    for column in range_stepped(UNIT_POS as usize, row.width, UNITS) {
        let depth = depth_of(logits, row, column);
        // Approximates `exp(-depth)`. It is closer than a device's exponential, which may be off by
        // a unit in the last place there.
        let is_near = depth < NEAR;
        if is_near && (1.0f32 - depth) / sum >= most && (column as u32) < equal {
            equal = column as u32;
        }
    }
    let has = select(equal < u32::cast_from(row.width), 1.0f32, 0.0f32);
    let (_, equal) = cube_best(has, equal, &mut exchange.values, &mut exchange.places);
    min(first, equal) as usize
}

/// Sizes of the logits, and the settings of the choice.
#[derive(Debug, Clone, Copy, CubeLaunch, CubeType)]
struct Parameters {
    rows: usize,
    width: usize,
    temperature: f32,
    /// Largest number of candidates.
    k: f32,
    /// Probability that the candidates' sum exceeds.
    p: f32,
}

#[cube(launch_unchecked)]
fn token_choice_kernel<X: Float, I: Int>(
    logits: &[X],
    numbers: &[f32],
    chosen: &mut [I],
    parameters: Parameters,
    #[comptime] kind: Kind,
    #[define(X)] _x_type: ElemType,
    #[define(I)] _i_type: ElemType,
) {
    if CUBE_POS >= parameters.rows {
        terminate!();
    }
    let mut exchange = exchange();
    let (width, temperature) = (parameters.width, parameters.temperature);
    let start = CUBE_POS * width;
    let (row, first, damaged) = row_at(logits, start, width, temperature, &mut exchange);
    let token = match comptime!(kind) {
        Kind::Greedy => most_probable(logits, &row, first, &mut exchange),
        Kind::Random => draw_of_all(logits, &row, numbers[CUBE_POS], &mut exchange),
        Kind::First { by_count, by_probability } => {
            let total = total_weight(logits, &row, &mut exchange);
            let by_count = if comptime!(by_count) {
                cut_at(logits, &row, parameters.k - 1.0f32, &mut exchange, true)
            } else {
                end_of(total)
            };
            let by_probability = if comptime!(by_probability) {
                cut_at(logits, &row, parameters.p * total, &mut exchange, false)
            } else {
                end_of(total)
            };
            let last = first_of(by_count, by_probability);
            draw_of_first(logits, &row, last, numbers[CUBE_POS], &mut exchange)
        }
    };
    if UNIT_POS == 0 {
        // The sentinel for non-finite logits is not a valid id.
        chosen[CUBE_POS] = I::cast_from(select(damaged > 0.0f32, width, token));
    }
}

/// Chooses a token for each row of logits, `[rows, vocabulary_size]`. A row with non-finite logits
/// gets `vocabulary_size`.
pub(super) fn choose(logits: CubeTensor, numbers: CubeTensor, choice: TokenChoice) -> CubeTensor {
    let [logits, numbers] = [logits, numbers].map(contiguous);
    let (rows, width) = rows_and_width(&logits);
    let first = |k: Option<usize>, p: f32| {
        let k = k.filter(|k| *k < width);
        let kind = Kind::First { by_count: k.is_some(), by_probability: p < 1.0 };
        (kind, k.unwrap_or(width) as f32, p)
    };
    let (temperature, (kind, k, p)) = match choice {
        TokenChoice::Greedy => (1.0, (Kind::Greedy, 1.0, 1.0)),
        TokenChoice::Random { temperature } => (temperature, (Kind::Random, 1.0, 1.0)),
        TokenChoice::TopK { k, temperature } => (temperature, first(Some(k), 1.0)),
        TokenChoice::TopP { p, k, temperature } => (temperature, first(k, p)),
    };
    let chosen = empty(&logits, [rows], DType::I32);
    // SAFETY: the kernel stops cubes past the rows, reads one random number a row and only the
    // row's own columns.
    unsafe {
        token_choice_kernel::launch_unchecked(
            &logits.client,
            cubes(rows),
            cube_dim(),
            buffer(&logits),
            buffer(&numbers),
            buffer(&chosen),
            ParametersLaunch::new(rows, width, temperature, k, p),
            kind,
            elem(&logits),
            elem(&chosen),
        );
    }
    chosen
}
