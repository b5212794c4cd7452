//! Tokens by descending probability, found without sorting.

use burn_cubecl::cubecl::{self, prelude::*};

use super::launch::UNITS;
use super::reduce::{cube_best, cube_sum};

/// Smallest finite value; not above any finite logit.
const LOWEST: f32 = f32::MIN;

/// Bits of a depth that one pass over the logits finds.
const BITS: u32 = 3;

/// Number of values that these bits have.
const BINS: usize = 1 << BITS;

/// Number of passes that find all bits of a depth.
const PASSES: u32 = u32::BITS.div_ceil(BITS);

/// A row of logits. A column's depth is its distance from the largest logit; its weight is
/// `exp(-depth / temperature)`, at most 1.
#[derive(Clone, Copy, CubeType)]
pub(crate) struct Row {
    /// Index of the first logit.
    pub(crate) start: usize,
    /// Number of logits.
    pub(crate) width: usize,
    /// Largest logit.
    pub(crate) largest: f32,
    /// Divisor of the logits.
    pub(crate) temperature: f32,
}

/// Shared memory of a cube for a search in [`Row`]s.
#[derive(CubeType)]
pub(crate) struct Exchange {
    /// One value a unit.
    pub(crate) values: Shared<[f32]>,
    /// One column a unit.
    pub(crate) places: Shared<[u32]>,
    bins: Shared<[f32]>,
    weights: Shared<[f32]>,
    counts: Shared<[f32]>,
}

/// Allocates the memory for a search.
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

/// A position in the descending order of a row's weights. Equal weights are in the order of their
/// columns.
#[derive(Clone, Copy, CubeType)]
pub(crate) struct Cut {
    /// Leading bits of the depth at the position.
    prefix: u32,
    /// Number of bits after the leading ones.
    shift: u32,
    /// Number of columns with the same leading bits before the position.
    pub(crate) ordinal: f32,
    /// Sum of the weights up to the position, inclusive.
    pub(crate) weight: f32,
}

/// 1 if the value is NaN or infinite, else 0. Tests the bits, because a compiler may assume finite
/// values.
#[cube]
fn is_damaged(value: f32) -> f32 {
    let exponent = (u32::reinterpret(value) >> 23u32) & 0xffu32;
    select(exponent == 0xffu32, 1.0f32, 0.0f32)
}

/// The row, the first column with its largest logit, and the number of columns that are NaN or
/// infinite.
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

/// Depth of a column, never negative.
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

/// Sums each bin over all units. All units can read the sums from `sums`.
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
    // A team of units sums each bin; one unit then adds up the team's results.
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

/// The first position at which the running sum exceeds the target, or the last position. The sum is
/// of weights, or of columns with `counts`.
///
/// Each pass finds further bits of the depth at that position, until a single column has them. The
/// remaining passes then read no columns: they still run because all units must reach the barriers.
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
    // Weights and counts before the columns with the leading bits found so far, and of these
    // columns.
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
    // The columns that remain have equal logits.
    let each = weight_here / count_here;
    let mut ordinal = target - count_before;
    if !comptime!(counts) {
        ordinal = (target - weight_before) / each;
    }
    cut.ordinal = min(max(ordinal.floor(), 0.0f32), count_here - 1.0f32);
    cut.weight = weight_before + each * (cut.ordinal + 1.0f32);
    cut
}

/// A position after all columns, where the weights have this sum.
#[cube]
pub(crate) fn end_of(weight: f32) -> Cut {
    Cut { prefix: u32::MAX.runtime(), shift: 0u32.runtime(), ordinal: 0.0f32.runtime(), weight }
}

/// The earlier of two positions.
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

/// Whether a column has the cut's leading bits, and whether its bits are lower, so that it comes
/// earlier.
#[cube]
pub(crate) fn compare<X: Float>(logits: &[X], row: &Row, column: usize, cut: &Cut) -> (bool, bool) {
    let bits = u32::reinterpret(depth_of(logits, row, column)) >> cut.shift;
    (bits == cut.prefix, bits < cut.prefix)
}

/// Range of columns of a unit: equal, contiguous shares of the row.
#[cube]
pub(crate) fn own_columns(width: usize) -> (usize, usize) {
    let share = (width + comptime!(UNITS - 1)) / UNITS;
    let from = min(UNIT_POS as usize * share, width);
    (from, min(from + share, width))
}

/// Share of a column in the sum of [`column_at`].
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

/// The first column at which the running sum of shares exceeds the target, or the last with a
/// share. With `weights` a share is the column's weight; else it is 1 for columns with the cut's
/// bits. Only the first unit's result is valid.
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
        // Rounding can leave the target above the total: the last unit with a share is then
        // searched again.
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

/// Column that `number`, of `[0, 1)`, draws in proportion to the weights. Only the first unit's
/// result is valid.
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

/// As `draw_of_all`, among the columns up to the position `last`, in descending order as after a
/// sort.
#[cube]
pub(crate) fn draw_of_first<X: Float>(
    logits: &[X],
    row: &Row,
    last: Cut,
    number: f32,
    exchange: &mut Exchange,
) -> usize {
    let drawn = cut_at(logits, row, number * last.weight, exchange, false);
    // Sums are rounded, so that the drawn position may lie after the last.
    let cut = first_of(drawn, last);
    column_at(logits, row, cut.ordinal, &cut, &mut exchange.values, false)
}
