//! Gradients of attention, for which the scores are computed again, block by block: one kernel for
//! what each query needs to know of all its keys, one for the queries' gradients, and one for those
//! of keys and values.

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

/// The queries' gradients: a cube for each tile of queries goes through their keys.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn query_gradient_kernel<X: Float, M: Numeric, N: Size>(
    query: &[Vector<X, N>],
    key: &[Vector<X, N>],
    value: &[Vector<X, N>],
    gradient: &[Vector<X, N>],
    mask: &[M],
    statistics: &[f32],
    output: &mut [Vector<X, N>],
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
    let tile = comptime!(variant.tile);
    let lanes = comptime!(variant.lanes);
    let width = sizes.heads * lanes;
    let sequence_head = CUBE_POS / sizes.tiles;
    let first = CUBE_POS % sizes.tiles * tile;
    let (sequence, head) = (sequence_head / sizes.heads, sequence_head % sizes.heads);
    let base = sequence * sizes.queries * width + head * lanes;

    let mut queries = Shared::<[Vector<f32, N>]>::new_slice(comptime!(tile * lanes));
    let mut gradients = Shared::<[Vector<f32, N>]>::new_slice(comptime!(tile * lanes));
    let mut slopes = Shared::<[f32]>::new_slice(comptime!(tile * UNITS));
    load_tile(query, &mut queries, base, first, &sizes, variant);
    load_tile(gradient, &mut gradients, base, first, &sizes, variant);
    sync_cube();

    let lane = unit % lanes;
    let summed = unit / lanes % tile;
    let slice = unit / comptime!(lanes * tile);
    let slices = comptime!(variant.slices());
    let mut total = Vector::<f32, N>::new(0.0f32);

    let end = min(first + tile, sizes.queries);
    for block in range_stepped(0, end, UNITS) {
        let token = block + unit;
        let mut scores = Array::<Vector<f32, N>>::new(tile);
        let mut products = Array::<Vector<f32, N>>::new(tile);
        #[unroll]
        for row in 0..tile {
            scores[row] = Vector::new(0.0f32);
            products[row] = Vector::new(0.0f32);
        }
        let mut seen = token < end;
        if comptime!(variant.masked) {
            if seen {
                seen = mask[sequence * sizes.queries + token] != M::from_int(0);
            }
        }
        if seen {
            let from = base + token * width;
            for place in 0..lanes {
                let key_part = Vector::<f32, N>::cast_from(key[from + place]);
                let value_part = Vector::<f32, N>::cast_from(value[from + place]);
                #[unroll]
                for row in 0..tile {
                    scores[row] += queries[row * lanes + place] * key_part;
                    products[row] += gradients[row * lanes + place] * value_part;
                }
            }
        }
        #[unroll]
        for row in 0..tile {
            let mut slope = 0.0f32;
            if seen && token <= first + row && first + row < sizes.queries {
                let place = 2 * (sequence_head * sizes.queries + first + row);
                let score = Vector::vector_sum(scores[row]) * sizes.scale;
                let probability = (score - statistics[place]).exp();
                let mut product = Vector::vector_sum(products[row]);
                if comptime!(variant.dropped) {
                    product *= dropped(sequence_head, first + row, token, &sizes, &drop);
                }
                slope = probability * (product - statistics[place + 1]) * sizes.scale;
            }
            slopes[row * UNITS + unit] = slope;
        }
        sync_cube();
        if slice < slices {
            let inside = min(UNITS, end - block);
            for offset in range_stepped(slice, inside, slices) {
                let part = key[base + (block + offset) * width + lane];
                let slope = slopes[summed * UNITS + offset];
                total += Vector::new(slope) * Vector::cast_from(part);
            }
        }
        sync_cube();
    }

    let mut partial = Shared::<[Vector<f32, N>]>::new_slice(UNITS);
    let sum = sum_in_order(total, &mut partial, comptime!(lanes * tile), slices);
    if slice == 0 && first + summed < sizes.queries {
        output[base + (first + summed) * width + lane] = Vector::cast_from(sum);
    }
}

/// The gradients of keys and values: a cube for each tile of keys goes through the queries that see
/// them.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn key_gradient_kernel<X: Float, M: Numeric, N: Size>(
    query: &[Vector<X, N>],
    key: &[Vector<X, N>],
    value: &[Vector<X, N>],
    gradient: &[Vector<X, N>],
    mask: &[M],
    statistics: &[f32],
    by_key: &mut [Vector<X, N>],
    by_value: &mut [Vector<X, N>],
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
    let tile = comptime!(variant.tile);
    let lanes = comptime!(variant.lanes);
    let width = sizes.heads * lanes;
    let sequence_head = CUBE_POS / sizes.tiles;
    let first = CUBE_POS % sizes.tiles * tile;
    let (sequence, head) = (sequence_head / sizes.heads, sequence_head % sizes.heads);
    let base = sequence * sizes.queries * width + head * lanes;

    let mut keys = Shared::<[Vector<f32, N>]>::new_slice(comptime!(tile * lanes));
    let mut values = Shared::<[Vector<f32, N>]>::new_slice(comptime!(tile * lanes));
    let mut slopes = Shared::<[f32]>::new_slice(comptime!(tile * UNITS));
    let mut weights = Shared::<[f32]>::new_slice(comptime!(tile * UNITS));
    load_tile(key, &mut keys, base, first, &sizes, variant);
    load_tile(value, &mut values, base, first, &sizes, variant);
    sync_cube();

    let lane = unit % lanes;
    let summed = unit / lanes % tile;
    let slice = unit / comptime!(lanes * tile);
    let slices = comptime!(variant.slices());
    let mut key_total = Vector::<f32, N>::new(0.0f32);
    let mut value_total = Vector::<f32, N>::new(0.0f32);

    // The first query that sees a key is the one at its place.
    for block in range_stepped(first, sizes.queries, UNITS) {
        let row = block + unit;
        let mut scores = Array::<Vector<f32, N>>::new(tile);
        let mut products = Array::<Vector<f32, N>>::new(tile);
        #[unroll]
        for token in 0..tile {
            scores[token] = Vector::new(0.0f32);
            products[token] = Vector::new(0.0f32);
        }
        if row < sizes.queries {
            let from = base + row * width;
            for place in 0..lanes {
                let query_part = Vector::<f32, N>::cast_from(query[from + place]);
                let gradient_part = Vector::<f32, N>::cast_from(gradient[from + place]);
                #[unroll]
                for token in 0..tile {
                    scores[token] += keys[token * lanes + place] * query_part;
                    products[token] += values[token * lanes + place] * gradient_part;
                }
            }
        }
        #[unroll]
        for offset in 0..tile {
            let token = first + offset;
            let mut slope = 0.0f32;
            let mut weight = 0.0f32;
            let mut seen = row < sizes.queries && token <= row;
            if comptime!(variant.masked) {
                if seen {
                    seen = mask[sequence * sizes.queries + token] != M::from_int(0);
                }
            }
            if seen {
                let place = 2 * (sequence_head * sizes.queries + row);
                let score = Vector::vector_sum(scores[offset]) * sizes.scale;
                let probability = (score - statistics[place]).exp();
                weight = probability;
                let mut product = Vector::vector_sum(products[offset]);
                if comptime!(variant.dropped) {
                    let factor = dropped(sequence_head, row, token, &sizes, &drop);
                    weight *= factor;
                    product *= factor;
                }
                slope = probability * (product - statistics[place + 1]) * sizes.scale;
            }
            slopes[offset * UNITS + unit] = slope;
            weights[offset * UNITS + unit] = weight;
        }
        sync_cube();
        if slice < slices {
            let inside = min(UNITS, sizes.queries - block);
            for offset in range_stepped(slice, inside, slices) {
                let from = base + (block + offset) * width + lane;
                let slope = Vector::new(slopes[summed * UNITS + offset]);
                let weight = Vector::new(weights[summed * UNITS + offset]);
                key_total += slope * Vector::cast_from(query[from]);
                value_total += weight * Vector::cast_from(gradient[from]);
            }
        }
        sync_cube();
    }

    let mut partial = Shared::<[Vector<f32, N>]>::new_slice(UNITS);
    let key_sum = sum_in_order(key_total, &mut partial, comptime!(lanes * tile), slices);
    let value_sum = sum_in_order(value_total, &mut partial, comptime!(lanes * tile), slices);
    if slice == 0 && first + summed < sizes.queries {
        let to = base + (first + summed) * width + lane;
        by_key[to] = Vector::cast_from(key_sum);
        by_value[to] = Vector::cast_from(value_sum);
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
        query_gradient_kernel::launch_unchecked(
            &query.client,
            cubes(count),
            cube_dim(),
            size,
            buffer(&query),
            buffer(&key),
            buffer(&value),
            buffer(&gradient),
            buffer(&mask),
            buffer(&statistics),
            buffer(&by_query),
            sizes_of(&query, &options, variant),
            drop_of(&options),
            count,
            variant,
            elem(&query),
            elem(&mask),
        );
        key_gradient_kernel::launch_unchecked(
            &query.client,
            cubes(count),
            cube_dim(),
            size,
            buffer(&query),
            buffer(&key),
            buffer(&value),
            buffer(&gradient),
            buffer(&mask),
            buffer(&statistics),
            buffer(&by_key),
            buffer(&by_value),
            sizes_of(&query, &options, variant),
            drop_of(&options),
            count,
            variant,
            elem(&query),
            elem(&mask),
        );
    }
    (by_query, by_key, by_value)
}
