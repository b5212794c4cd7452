//! The next token of each row of logits: a cube for each row.

use burn::backend::DType;
use burn_cubecl::cubecl::ir::ElemType;
use burn_cubecl::cubecl::{self, prelude::*};
use burn_cubecl::tensor::CubeTensor;

use super::launch::{UNITS, buffer, contiguous, cube_dim, cubes, elem, empty, rows_and_width};
use super::reduce::{cube_best, cube_sum};
use crate::token_choice::TokenChoice;

/// Below every logit.
const LOWEST: f32 = f32::MIN;

/// A logit further below the largest has a smaller probability.
const NEAR: f32 = 1.0 / (1 << 20) as f32;

/// What the kernel is compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Greedy,
    Random,
    TopK(usize),
}

/// 1 for what is infinite or no number, by its bits: a compiler may assume that there is none.
#[cube]
fn is_damaged(value: f32) -> f32 {
    let exponent = (u32::reinterpret(value) >> 23u32) & 0xffu32;
    select(exponent == 0xffu32, 1.0f32, 0.0f32)
}

/// Draws a place in proportion to what the units have, and then to the weights of that unit's
/// columns. Only the first unit's answer counts.
#[cube]
fn draw_column<X: Float>(
    logits: &[X],
    start: usize,
    width: usize,
    largest: f32,
    temperature: f32,
    number: f32,
    shared: &mut Shared<[f32]>,
) -> usize {
    let unit = UNIT_POS as usize;
    let share = (width + comptime!(UNITS - 1)) / UNITS;
    let from = min(unit * share, width);
    let to = min(from + share, width);
    let mut sum = 0.0f32;
    for column in from..to {
        sum += ((f32::cast_from(logits[start + column]) - largest) / temperature).exp();
    }
    shared[unit] = sum;
    sync_cube();
    let mut drawn = 0usize;
    if unit == 0 {
        let mut total = 0.0f32;
        for other in 0..UNITS {
            total += shared[other];
        }
        let target = number * total;
        let mut below = 0.0f32;
        let mut owner = 0usize;
        let mut is_found = false;
        for other in 0..UNITS {
            let part = shared[other];
            if !is_found && part > 0.0f32 {
                owner = other;
                if below + part > target {
                    is_found = true;
                } else {
                    below += part;
                }
            }
        }
        // If the number lies beyond the sum, by rounding, the last weight is drawn.
        let mut is_drawn = false;
        for column in owner * share..min(owner * share + share, width) {
            let exponent = (f32::cast_from(logits[start + column]) - largest) / temperature;
            let weight = exponent.exp();
            if !is_drawn && weight > 0.0f32 {
                drawn = column;
                below += weight;
                is_drawn = below > target;
            }
        }
    }
    sync_cube();
    drawn
}

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn token_choice_kernel<X: Float, I: Int>(
    logits: &[X],
    numbers: &[f32],
    chosen: &mut [I],
    rows: usize,
    width: usize,
    temperature: f32,
    #[comptime] kind: Kind,
    #[define(X)] _x_type: ElemType,
    #[define(I)] _i_type: ElemType,
) {
    if CUBE_POS >= rows {
        terminate!();
    }
    let unit = UNIT_POS as usize;
    let start = CUBE_POS * width;
    let mut shared = Shared::<[f32]>::new_slice(UNITS);
    let mut places = Shared::<[u32]>::new_slice(UNITS);
    let mut damaged = 0.0f32;
    let mut value = f32::new(LOWEST);
    let mut place = u32::cast_from(width);
    for column in range_stepped(unit, width, UNITS) {
        let logit = f32::cast_from(logits[start + column]);
        damaged += is_damaged(logit);
        if logit > value {
            value = logit;
            place = column as u32;
        }
    }
    let damaged = cube_sum(damaged, &mut shared);
    let (largest, first) = cube_best(value, place, &mut shared, &mut places);
    let mut token = first as usize;
    match comptime!(kind) {
        Kind::Greedy => {
            // Different logits may have one probability, and then the first counts.
            let mut sum = 0.0f32;
            for column in range_stepped(unit, width, UNITS) {
                sum += (f32::cast_from(logits[start + column]) - largest).exp();
            }
            let sum = cube_sum(sum, &mut shared);
            let most = 1.0f32 / sum;
            let mut equal = u32::cast_from(width);
            for column in range_stepped(unit, width, UNITS) {
                let below = f32::cast_from(logits[start + column]) - largest;
                // Nearly `exp(below)`, and nearer than a device's exponential, which may err by
                // a unit there.
                let is_near = below > -NEAR;
                if is_near && (1.0f32 + below) / sum >= most && (column as u32) < equal {
                    equal = column as u32;
                }
            }
            let has = select(equal < u32::cast_from(width), 1.0f32, 0.0f32);
            let (_, equal) = cube_best(has, equal, &mut shared, &mut places);
            token = min(first, equal) as usize;
        }
        Kind::Random => {
            let number = numbers[CUBE_POS];
            token = draw_column(logits, start, width, largest, temperature, number, &mut shared);
        }
        Kind::TopK(k) => {
            let mut weights = Shared::<[f32]>::new_slice(k);
            let mut tokens = Shared::<[u32]>::new_slice(k);
            let mut last = largest;
            let mut last_place = first;
            if unit == 0 {
                weights[0] = 1.0f32;
                tokens[0] = first;
            }
            for rank in 1..k {
                let mut value = f32::new(LOWEST);
                let mut place = u32::cast_from(width);
                for column in range_stepped(unit, width, UNITS) {
                    let logit = f32::cast_from(logits[start + column]);
                    let is_behind = logit < last || (logit == last && (column as u32) > last_place);
                    if is_behind && logit > value {
                        value = logit;
                        place = column as u32;
                    }
                }
                let (value, place) = cube_best(value, place, &mut shared, &mut places);
                if unit == 0 {
                    weights[rank] = ((value - largest) / temperature).exp();
                    tokens[rank] = place;
                }
                last = value;
                last_place = place;
            }
            if unit == 0 {
                let mut total = 0.0f32;
                for rank in 0..k {
                    total += weights[rank];
                }
                let target = numbers[CUBE_POS] * total;
                let mut below = 0.0f32;
                let mut is_drawn = false;
                for rank in 0..k {
                    let weight = weights[rank];
                    if !is_drawn && weight > 0.0f32 {
                        token = tokens[rank] as usize;
                        below += weight;
                        is_drawn = below > target;
                    }
                }
            }
        }
    }
    if unit == 0 {
        // No token has this number.
        chosen[CUBE_POS] = I::cast_from(select(damaged > 0.0f32, width, token));
    }
}

/// A token of each row of logits, `[rows, vocabulary_size]`, or `vocabulary_size` for a row whose
/// logits are not all finite.
pub(super) fn choose(logits: CubeTensor, numbers: CubeTensor, choice: TokenChoice) -> CubeTensor {
    let [logits, numbers] = [logits, numbers].map(contiguous);
    let (rows, width) = rows_and_width(&logits);
    let (kind, temperature) = match choice {
        TokenChoice::Greedy => (Kind::Greedy, 1.0),
        TokenChoice::Random { temperature } => (Kind::Random, temperature),
        TokenChoice::TopK { k, temperature } => (Kind::TopK(k.min(width)), temperature),
    };
    let chosen = empty(&logits, [rows], DType::I32);
    // SAFETY: the kernel ends cubes beyond the rows, for each of which there is a number, and goes
    // through the width that there is.
    unsafe {
        token_choice_kernel::launch_unchecked(
            &logits.client,
            cubes(rows),
            cube_dim(),
            buffer(&logits),
            buffer(&numbers),
            buffer(&chosen),
            rows,
            width,
            temperature,
            kind,
            elem(&logits),
            elem(&chosen),
        );
    }
    chosen
}
