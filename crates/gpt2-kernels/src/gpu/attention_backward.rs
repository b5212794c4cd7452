//! Gradients of attention, for which the scores are computed again, block by block: one kernel for
//! what each query needs to know of all its keys, and one for the gradients, first those of queries,
//! then those of keys and values.

use burn::backend::{DType, TensorMetadata};
use burn_cubecl::cubecl::ir::ElemType;
use burn_cubecl::cubecl::{self, prelude::*};
use burn_cubecl::tensor::CubeTensor;

use super::attention::{Drop, LOWEST, Sizes, Variant, drop_of, dropped, sizes_of};
use super::launch::{UNITS, buffer, contiguous, cube_dim, cubes, elem, empty, vector_size};
use super::reduce::{cube_sum, sum_in_order};
use crate::attention::AttentionOptions;

/// Buffers of the kernel that has the most, besides sizes.
pub(super) const BINDINGS: usize = 8;

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

/// Reads a head's vectors of a tile of tokens, zeros behind the last token.
#[cube]
fn load_tile<X: Float, N: Size>(
    source: &[Vector<X, N>],
    target: &mut Shared<[Vector<f32, N>]>,
    base: usize,
    first: usize,
    sizes: &Sizes,
    #[comptime] variant: Variant,
) {
    let lanes = comptime!(variant.lanes);
    let count = comptime!(variant.tile * variant.lanes);
    for place in range_stepped(UNIT_POS as usize, count, UNITS) {
        let (token, lane) = (first + place / lanes, place % lanes);
        if token < sizes.queries {
            let from = base + token * sizes.heads * lanes + lane;
            target[place] = Vector::cast_from(source[from]);
        } else {
            target[place] = Vector::new(0.0f32);
        }
    }
}

/// For each query, `[batch_size, heads, queries, 2]`: the logarithm of the sum of its scores'
/// exponentials, and the mean of its keys' slopes. A cube for each query.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn statistics_kernel<X: Float, M: Numeric, N: Size>(
    query: &[Vector<X, N>],
    key: &[Vector<X, N>],
    value: &[Vector<X, N>],
    gradient: &[Vector<X, N>],
    mask: &[M],
    statistics: &mut [f32],
    sizes: Sizes,
    drop: Drop,
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

    // Each unit goes through its own keys, and their results are joined at the end.
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
                slope *= dropped(sequence_head, row, token, &sizes, &drop);
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
    shared[unit] = largest;
    sync_cube();
    let mut half = CUBE_DIM as usize / 2;
    while half > 0 {
        if unit < half {
            shared[unit] = max(shared[unit], shared[unit + half]);
        }
        sync_cube();
        half /= 2;
    }
    let most = shared[0];
    sync_cube();
    let correction = (largest - most).exp();
    let sum = cube_sum(sum * correction, &mut shared);
    let slopes = cube_sum(slopes * correction, &mut shared);
    if unit == 0 {
        let place = 2 * CUBE_POS;
        // A query that sees no key has no slope: its probabilities will be zero.
        statistics[place] = select(sum <= 0.0f32, -LOWEST, most + sum.ln());
        statistics[place + 1] = select(sum <= 0.0f32, 0.0f32, slopes / sum);
    }
}

/// Whose gradients a kernel computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Side {
    /// The queries', from the keys that they see.
    Queries,
    /// The keys' and values', from the queries that see them.
    Keys,
}

/// The gradients of one side: a cube for each tile of its tokens goes through those of the other
/// side that meet them.
///
/// A score is the product of the sides' first vectors, and its slope follows from that of their
/// second: query and key, gradient and value. The gradient by a first vector is the sum of the other
/// side's first vectors, times slopes; that by a value the sum of gradients, times probabilities.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn side_gradient_kernel<X: Float, M: Numeric, N: Size>(
    own_first: &[Vector<X, N>],
    own_second: &[Vector<X, N>],
    other_first: &[Vector<X, N>],
    other_second: &[Vector<X, N>],
    mask: &[M],
    statistics: &[f32],
    by_first: &mut [Vector<X, N>],
    by_second: &mut [Vector<X, N>],
    sizes: Sizes,
    drop: Drop,
    count: usize,
    #[comptime] side: Side,
    #[comptime] variant: Variant,
    #[define(X)] _x_type: ElemType,
    #[define(M)] _m_type: ElemType,
) {
    if CUBE_POS >= count {
        terminate!();
    }
    let unit = UNIT_POS as usize;
    let tile = comptime!(variant.tile);
    let lanes = comptime!(variant.lanes);
    let width = sizes.heads * lanes;
    let sequence_head = CUBE_POS / sizes.tiles;
    let first = CUBE_POS % sizes.tiles * tile;
    let (sequence, head) = (sequence_head / sizes.heads, sequence_head % sizes.heads);
    let base = sequence * sizes.queries * width + head * lanes;

    let mut firsts = Shared::<[Vector<f32, N>]>::new_slice(comptime!(tile * lanes));
    let mut seconds = Shared::<[Vector<f32, N>]>::new_slice(comptime!(tile * lanes));
    let mut slopes = Shared::<[f32]>::new_slice(comptime!(tile * UNITS));
    let mut weights = Shared::<[f32]>::new_slice(comptime!(match side {
        Side::Queries => 1,
        Side::Keys => tile * UNITS,
    }));
    load_tile(own_first, &mut firsts, base, first, &sizes, variant);
    load_tile(own_second, &mut seconds, base, first, &sizes, variant);
    sync_cube();

    let lane = unit % lanes;
    let summed = unit / lanes % tile;
    let slice = unit / comptime!(lanes * tile);
    let slices = comptime!(variant.slices());
    let mut first_total = Vector::<f32, N>::new(0.0f32);
    let mut second_total = Vector::<f32, N>::new(0.0f32);

    // The last key that a query sees, and the first query that sees a key, are at its place.
    let (start, end) = match comptime!(side) {
        Side::Queries => (0usize.runtime(), min(first + tile, sizes.queries)),
        Side::Keys => (first, sizes.queries),
    };
    for block in range_stepped(start, end, UNITS) {
        let other = block + unit;
        let mut scores = Array::<Vector<f32, N>>::new(tile);
        let mut products = Array::<Vector<f32, N>>::new(tile);
        #[unroll]
        for offset in 0..tile {
            scores[offset] = Vector::new(0.0f32);
            products[offset] = Vector::new(0.0f32);
        }
        if other < end {
            let from = base + other * width;
            for place in 0..lanes {
                let first_part = Vector::<f32, N>::cast_from(other_first[from + place]);
                let second_part = Vector::<f32, N>::cast_from(other_second[from + place]);
                #[unroll]
                for offset in 0..tile {
                    scores[offset] += firsts[offset * lanes + place] * first_part;
                    products[offset] += seconds[offset * lanes + place] * second_part;
                }
            }
        }
        #[unroll]
        for offset in 0..tile {
            let own = first + offset;
            let (query, key) = match comptime!(side) {
                Side::Queries => (own, other),
                Side::Keys => (other, own),
            };
            let mut slope = 0.0f32;
            let mut weight = 0.0f32;
            let mut seen = query < sizes.queries && key <= query;
            if comptime!(variant.masked) {
                if seen {
                    seen = mask[sequence * sizes.queries + key] != M::from_int(0);
                }
            }
            if seen {
                let place = 2 * (sequence_head * sizes.queries + query);
                let score = Vector::vector_sum(scores[offset]) * sizes.scale;
                let probability = (score - statistics[place]).exp();
                let mut product = Vector::vector_sum(products[offset]);
                weight = probability;
                if comptime!(variant.dropped) {
                    let factor = dropped(sequence_head, query, key, &sizes, &drop);
                    weight *= factor;
                    product *= factor;
                }
                slope = probability * (product - statistics[place + 1]) * sizes.scale;
            }
            slopes[offset * UNITS + unit] = slope;
            if comptime!(side == Side::Keys) {
                weights[offset * UNITS + unit] = weight;
            }
        }
        sync_cube();
        if slice < slices {
            let inside = min(UNITS, end - block);
            for offset in range_stepped(slice, inside, slices) {
                let from = base + (block + offset) * width + lane;
                let slope = Vector::new(slopes[summed * UNITS + offset]);
                first_total += slope * Vector::cast_from(other_first[from]);
                if comptime!(side == Side::Keys) {
                    let weight = Vector::new(weights[summed * UNITS + offset]);
                    second_total += weight * Vector::cast_from(other_second[from]);
                }
            }
        }
        sync_cube();
    }

    let is_last = slice == 0 && first + summed < sizes.queries;
    let to = base + (first + summed) * width + lane;
    let mut partial = Shared::<[Vector<f32, N>]>::new_slice(UNITS);
    let sum = sum_in_order(first_total, &mut partial, comptime!(lanes * tile), slices);
    if is_last {
        by_first[to] = Vector::cast_from(sum);
    }
    if comptime!(side == Side::Keys) {
        let sum = sum_in_order(second_total, &mut partial, comptime!(lanes * tile), slices);
        if is_last {
            by_second[to] = Vector::cast_from(sum);
        }
    }
}

/// The gradients by query, key and value; `mask` is true where a token may be seen.
pub(super) fn attention_backward(
    [query, key, value]: [CubeTensor; 3],
    gradient: CubeTensor,
    mask: Option<CubeTensor>,
    options: AttentionOptions,
    variant: Variant,
) -> (CubeTensor, CubeTensor, CubeTensor) {
    let [query, key, value, gradient] = [query, key, value, gradient].map(contiguous);
    let [batch_size, queries, hidden_dim] = query.shape().dims();
    let mask = mask.map_or_else(|| query.clone(), contiguous);
    let heads = batch_size * options.num_heads;
    let statistics = empty(&query, [heads, queries, 2], DType::F32);
    let [by_query, by_key, by_value] = [(); 3].map(|()| empty(&query, query.shape(), query.dtype));
    let size = vector_size(hidden_dim / options.num_heads);
    let count = heads * queries.div_ceil(variant.tile);
    // SAFETY: the kernels end cubes beyond their count and skip queries and keys beyond those that
    // there are; without a mask they do not read what stands for it here.
    unsafe {
        statistics_kernel::launch_unchecked(
            &query.client,
            cubes(heads * queries),
            cube_dim(),
            size,
            buffer(&query),
            buffer(&key),
            buffer(&value),
            buffer(&gradient),
            buffer(&mask),
            buffer(&statistics),
            sizes_of(&query, &options, variant),
            drop_of(&options),
            heads * queries,
            variant,
            elem(&query),
            elem(&mask),
        );
        // Without gradients by a second vector, that by the first has the place of them.
        for (side, [own_first, own_second], [other_first, other_second], [by_first, by_second]) in [
            (Side::Queries, [&query, &gradient], [&key, &value], [&by_query, &by_query]),
            (Side::Keys, [&key, &value], [&query, &gradient], [&by_key, &by_value]),
        ] {
            side_gradient_kernel::launch_unchecked(
                &query.client,
                cubes(count),
                cube_dim(),
                size,
                buffer(own_first),
                buffer(own_second),
                buffer(other_first),
                buffer(other_second),
                buffer(&mask),
                buffer(&statistics),
                buffer(by_first),
                buffer(by_second),
                sizes_of(&query, &options, variant),
                drop_of(&options),
                count,
                side,
                variant,
                elem(&query),
                elem(&mask),
            );
        }
    }
    (by_query, by_key, by_value)
}
