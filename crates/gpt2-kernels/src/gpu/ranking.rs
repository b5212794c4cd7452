//! Tokens in the descending order of their probabilities, found without sorting them.

use burn_cubecl::cubecl::{self, prelude::*};

use super::launch::UNITS;
use super::reduce::{cube_best, cube_sum};

/// Below every logit.
const LOWEST: f32 = f32::MIN;

/// Bits of a depth that a pass over the logits finds.
const BITS: u32 = 3;

/// Number of values of these bits.
const BINS: usize = 1 << BITS;

/// Passes until all bits of a depth are found.
const PASSES: u32 = u32::BITS.div_ceil(BITS);

/// A row of logits. A column's depth is its distance from the largest logit, and its weight the
/// exponential of the depth over the temperature, negated; so it is at most 1.
#[derive(Clone, Copy, CubeType)]
pub(crate) struct Row {
    /// Start of its logits.
    pub(crate) start: usize,
    /// Number of logits.
    pub(crate) width: usize,
    /// Largest logit.
    pub(crate) largest: f32,
    /// Divisor of the logits.
    pub(crate) temperature: f32,
}

/// Memory that the units of a cube share for a search in [`Row`]s.
#[derive(CubeType)]
pub(crate) struct Exchange {
    /// A value of each unit.
    pub(crate) values: Shared<[f32]>,
    /// A place of each unit.
    pub(crate) places: Shared<[u32]>,
    bins: Shared<[f32]>,
    weights: Shared<[f32]>,
    counts: Shared<[f32]>,
}

/// The memory for a search.
#[cube]
pub(crate) fn exchange() -> Exchange {
    Exchange {
        values: Shared::new_slice(UNITS),
        places: Shared::new_slice(UNITS),
        bins: Shared::new_slice(comptime!(UNITS * BINS)),
        weights: Shared::new_slice(BINS),
        counts: Shared::new_slice(BINS),
    }
}

/// A place in the descending order of a row's weights; of equal ones the first column is the first.
#[derive(Clone, Copy, CubeType)]
pub(crate) struct Cut {
    /// The leading bits of the depth there.
    prefix: u32,
    /// How many bits follow them.
    shift: u32,
    /// How many columns with these bits are before it.
    pub(crate) ordinal: f32,
    /// The sum of the weights up to it, its own included.
    pub(crate) weight: f32,
}

/// 1 for what is infinite or no number, by its bits: a compiler may assume that there is none.
#[cube]
fn is_damaged(value: f32) -> f32 {
    let exponent = (u32::reinterpret(value) >> 23u32) & 0xffu32;
    select(exponent == 0xffu32, 1.0f32, 0.0f32)
}

/// A row, the first column with its largest logit, and the number of columns that are infinite or
/// no numbers.
#[cube]
pub(crate) fn row_at<X: Float>(
    logits: &[X],
    start: usize,
    width: usize,
    temperature: f32,
    exchange: &mut Exchange,
) -> (Row, u32, f32) {
    let mut damaged = 0.0f32;
    let mut value = f32::new(LOWEST);
    let mut place = u32::cast_from(width);
    for column in range_stepped(UNIT_POS as usize, width, UNITS) {
        let logit = f32::cast_from(logits[start + column]);
        damaged += is_damaged(logit);
        if logit > value {
            value = logit;
            place = column as u32;
        }
    }
    let damaged = cube_sum(damaged, &mut exchange.values);
    let (largest, first) = cube_best(value, place, &mut exchange.values, &mut exchange.places);
    (Row { start, width, largest, temperature }, first, damaged)
}

/// A column's depth: negative for none.
#[cube]
pub(crate) fn depth_of<X: Float>(logits: &[X], row: &Row, column: usize) -> f32 {
    row.largest - f32::cast_from(logits[row.start + column])
}

/// The weight at a depth.
#[cube]
pub(crate) fn weight_of(depth: f32, row: &Row) -> f32 {
    (-depth / row.temperature).exp()
}

/// The sum of a row's weights.
#[cube]
pub(crate) fn total_weight<X: Float>(logits: &[X], row: &Row, exchange: &mut Exchange) -> f32 {
    let mut sum = 0.0f32;
    for column in range_stepped(UNIT_POS as usize, row.width, UNITS) {
        sum += weight_of(depth_of(logits, row, column), row);
    }
    cube_sum(sum, &mut exchange.values)
}

/// The sums over all units of each of their numbers, for all units, in `sums`.
#[cube]
fn sum_bins(
    numbers: &Array<f32>,
    bins: &mut Shared<[f32]>,
    values: &mut Shared<[f32]>,
    sums: &mut Shared<[f32]>,
) {
    let unit = UNIT_POS as usize;
    #[unroll]
    for bin in 0..BINS {
        bins[bin * UNITS + unit] = numbers[bin];
    }
    sync_cube();
    // A team of units for each bin, and then a unit.
    let team = comptime!(UNITS / BINS);
    let from = unit / team * UNITS + unit % team;
    let mut sum = 0.0f32;
    for step in 0..BINS {
        sum += bins[from + step * team];
    }
    values[unit] = sum;
    sync_cube();
    if unit < BINS {
        let mut sum = 0.0f32;
        for member in 0..team {
            sum += values[unit * team + member];
        }
        sums[unit] = sum;
    }
    sync_cube();
}

/// The first place at which a sum exceeds the target, or the last place. The sum is of weights, or with
/// `counts` of columns.
///
/// Each pass finds some more bits of the depth there, until one column has them. As barriers must
/// be passed by all units, later passes are empty.
#[cube]
pub(crate) fn cut_at<X: Float>(
    logits: &[X],
    row: &Row,
    target: f32,
    exchange: &mut Exchange,
    #[comptime] counts: bool,
) -> Cut {
    let mut cut = Cut { prefix: 0u32, shift: 0u32, ordinal: 0.0f32, weight: 0.0f32 };
    // Before the columns with the leading bits found so far, and of these.
    let mut weight_before = 0.0f32;
    let mut count_before = 0.0f32;
    let mut weight_here = 0.0f32;
    let mut count_here = 0.0f32;
    let mut is_open = true;
    for pass in 0..PASSES {
        let shift = comptime!((PASSES - 1) * BITS) - pass * BITS;
        let mut weights = Array::<f32>::new(BINS);
        let mut numbers = Array::<f32>::new(BINS);
        #[unroll]
        for bin in 0..BINS {
            weights[bin] = 0.0f32;
            numbers[bin] = 0.0f32;
        }
        let end = select(is_open, row.width, 0usize);
        for column in range_stepped(UNIT_POS as usize, end, UNITS) {
            let depth = depth_of(logits, row, column);
            let bits = u32::reinterpret(depth) >> shift;
            if (bits >> BITS) == cut.prefix {
                let weight = weight_of(depth, row);
                #[unroll]
                for bin in 0..BINS {
                    let is_here = bits & comptime!(BINS as u32 - 1) == comptime!(bin as u32);
                    weights[bin] += select(is_here, weight, 0.0f32);
                    numbers[bin] += select(is_here, 1.0f32, 0.0f32);
                }
            }
        }
        sum_bins(&weights, &mut exchange.bins, &mut exchange.values, &mut exchange.weights);
        sum_bins(&numbers, &mut exchange.bins, &mut exchange.values, &mut exchange.counts);
        if is_open {
            let mut weight_sum = weight_before;
            let mut count_sum = count_before;
            let mut digit = 0u32;
            let mut is_found = false;
            for bin in 0..BINS {
                let weight = exchange.weights[bin];
                let count = exchange.counts[bin];
                let mut is_filled = count > 0.0f32;
                let mut reached = count_sum + count;
                if !comptime!(counts) {
                    is_filled = weight > 0.0f32;
                    reached = weight_sum + weight;
                }
                if !is_found && is_filled {
                    digit = bin as u32;
                    weight_before = weight_sum;
                    count_before = count_sum;
                    weight_here = weight;
                    count_here = count;
                    is_found = reached > target;
                }
                weight_sum += weight;
                count_sum += count;
            }
            cut.prefix = (cut.prefix << BITS) | digit;
            cut.shift = shift;
            is_open = count_here > 1.0f32;
        }
    }
    // Those that are left are equal.
    let each = weight_here / count_here;
    let mut ordinal = target - count_before;
    if !comptime!(counts) {
        ordinal = (target - weight_before) / each;
    }
    cut.ordinal = min(max(ordinal.floor(), 0.0f32), count_here - 1.0f32);
    cut.weight = weight_before + each * (cut.ordinal + 1.0f32);
    cut
}

/// A place behind all others, where the weights have this sum.
#[cube]
pub(crate) fn end_of(weight: f32) -> Cut {
    Cut { prefix: u32::MAX.runtime(), shift: 0u32.runtime(), ordinal: 0.0f32.runtime(), weight }
}

/// The place that comes first.
#[cube]
pub(crate) fn first_of(a: Cut, b: Cut) -> Cut {
    let (a_bits, b_bits) = (a.prefix << a.shift, b.prefix << b.shift);
    let is_a = a_bits < b_bits || (a_bits == b_bits && a.ordinal < b.ordinal);
    Cut {
        prefix: select(is_a, a.prefix, b.prefix),
        shift: select(is_a, a.shift, b.shift),
        ordinal: select(is_a, a.ordinal, b.ordinal),
        weight: select(is_a, a.weight, b.weight),
    }
}

/// Whether a column has the cut's leading bits, and whether it is before all that have.
#[cube]
pub(crate) fn compare<X: Float>(logits: &[X], row: &Row, column: usize, cut: &Cut) -> (bool, bool) {
    let bits = u32::reinterpret(depth_of(logits, row, column)) >> cut.shift;
    (bits == cut.prefix, bits < cut.prefix)
}

/// The columns of a unit where each has as many side by side.
#[cube]
pub(crate) fn own_columns(width: usize) -> (usize, usize) {
    let share = (width + comptime!(UNITS - 1)) / UNITS;
    let from = min(UNIT_POS as usize * share, width);
    (from, min(from + share, width))
}

/// The share of a column in the sum of [`column_at`].
#[cube]
fn share_of<X: Float>(
    logits: &[X],
    row: &Row,
    column: usize,
    cut: &Cut,
    #[comptime] weights: bool,
) -> f32 {
    if comptime!(weights) {
        weight_of(depth_of(logits, row, column), row)
    } else {
        let (is_equal, _) = compare(logits, row, column, cut);
        select(is_equal, 1.0f32, 0.0f32)
    }
}

/// The first column at which the sum of shares, in the columns' order, exceeds the target, or the last
/// that has a share. A share is the weight, or with `weights` false 1 where a column has the cut's
/// bits. Only the first unit's answer is valid.
#[cube]
fn column_at<X: Float>(
    logits: &[X],
    row: &Row,
    target: f32,
    cut: &Cut,
    values: &mut Shared<[f32]>,
    #[comptime] weights: bool,
) -> usize {
    let unit = UNIT_POS as usize;
    let (from, to) = own_columns(row.width);
    let share = to - from;
    let mut sum = 0.0f32;
    for column in from..to {
        sum += share_of(logits, row, column, cut, weights);
    }
    values[unit] = sum;
    sync_cube();
    let mut found = 0usize;
    if unit == 0 {
        let mut before = 0.0f32;
        let mut owner = 0usize;
        let mut is_found = false;
        for other in 0..UNITS {
            let part = values[other];
            if !is_found && part > 0.0f32 {
                owner = other;
                is_found = before + part > target;
                before += select(is_found, 0.0f32, part);
            }
        }
        // Beyond the sum, by rounding, all of the last one that counts is gone through again.
        before -= select(is_found, 0.0f32, values[owner]);
        let mut is_drawn = false;
        for column in owner * share..min(owner * share + share, row.width) {
            let part = share_of(logits, row, column, cut, weights);
            if !is_drawn && part > 0.0f32 {
                found = column;
                before += part;
                is_drawn = before > target;
            }
        }
    }
    sync_cube();
    found
}

/// The column that a number of `[0, 1)` draws in proportion to the weights. Only the first unit's
/// answer is valid.
#[cube]
pub(crate) fn draw_of_all<X: Float>(
    logits: &[X],
    row: &Row,
    number: f32,
    exchange: &mut Exchange,
) -> usize {
    let total = total_weight(logits, row, exchange);
    let cut = end_of(total);
    column_at(logits, row, number * total, &cut, &mut exchange.values, true)
}

/// The same among those that come first, up to the place `last`. The columns are drawn in descending
/// order, as they are where they are sorted.
#[cube]
pub(crate) fn draw_of_first<X: Float>(
    logits: &[X],
    row: &Row,
    last: Cut,
    number: f32,
    exchange: &mut Exchange,
) -> usize {
    let drawn = cut_at(logits, row, number * last.weight, exchange, false);
    // Sums are rounded, and the number may be beyond the last weight.
    let cut = first_of(drawn, last);
    column_at(logits, row, cut.ordinal, &cut, &mut exchange.values, false)
}
