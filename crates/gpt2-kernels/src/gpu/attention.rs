//! Attention without a matrix of scores: a cube goes through the keys of some queries of a head,
//! block by block ([Dao et al., 2022](https://arxiv.org/abs/2205.14135)).

use burn::backend::TensorMetadata;
use burn::backend::ops::IntTensorOps;
use burn::tensor::TensorData;
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl::ir::ElemType;
use burn_cubecl::cubecl::{self, prelude::*};
use burn_cubecl::tensor::CubeTensor;

use super::launch::{UNITS, buffer, contiguous, cube_dim, cubes, elem, empty, vector_size};
use super::random::dropout_factor;
use super::reduce::sum_in_order;
use crate::attention::AttentionOptions;

/// Most queries of a cube.
const MAX_QUERIES: usize = 8;

/// Below every score.
pub(super) const LOWEST: f32 = -1e30;

/// What a kernel is compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Variant {
    /// Vectors of a head.
    pub(super) lanes: usize,
    /// Queries, or keys, of a cube.
    pub(super) tile: usize,
    /// Whether there is a mask.
    pub(super) masked: bool,
    /// Whether probabilities are dropped.
    pub(super) dropped: bool,
    /// Where earlier keys are.
    pub(super) cache: Cache,
}

/// Where earlier keys are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Cache {
    /// There are none.
    None,
    /// Sequence `i` is in row `i` of the cache.
    Straight,
    /// In the row that the table says, for each token of each sequence.
    Table,
    /// As straight, and their number is on the device.
    Counted,
}

impl Variant {
    /// Units that sum other keys than others.
    pub(super) fn slices(self) -> usize {
        UNITS / (self.lanes * self.tile)
    }
}

/// Sizes of the tensors.
#[derive(Debug, Clone, Copy, CubeLaunch, CubeType)]
pub(super) struct Sizes {
    /// New tokens of a sequence, each with a query.
    pub(super) queries: usize,
    /// Tokens in the cache.
    pub(super) start: usize,
    /// Heads.
    pub(super) heads: usize,
    /// Tokens for which the cache has room.
    pub(super) room: usize,
    /// Tiles of queries, or of keys, of a head.
    pub(super) tiles: usize,
    /// The factor of the scores.
    pub(super) scale: f32,
}

/// What is dropped.
#[derive(Debug, Clone, Copy, CubeLaunch, CubeType)]
pub(super) struct Drop {
    /// Of the key.
    pub(super) low: u32,
    /// Of the key.
    pub(super) high: u32,
    /// Below which a number is kept.
    pub(super) threshold: u32,
    /// Of what is kept.
    pub(super) factor: f32,
}

/// What the probability at a place is multiplied by.
#[cube]
pub(super) fn dropped(
    sequence_head: usize,
    query: usize,
    key: usize,
    sizes: &Sizes,
    drop: &Drop,
) -> f32 {
    let index = (sequence_head * sizes.queries + query) * (sizes.start + sizes.queries) + key;
    dropout_factor(index as u32, drop.low, drop.high, drop.threshold, drop.factor)
}

/// The largest and the sum of what the units of each query have, and the values anew.
///
/// `scores` has [`UNITS`] places for each query. A score that is hidden is [`LOWEST`].
#[cube]
fn renormalize(
    scores: &mut Shared<[f32]>,
    scratch: &mut Shared<[f32]>,
    largest: &mut Shared<[f32]>,
    sums: &mut Shared<[f32]>,
    corrections: &mut Shared<[f32]>,
    #[comptime] tile: usize,
) {
    let unit = UNIT_POS as usize;
    let team = comptime!(UNITS / tile);
    let (query, member) = (unit / team, unit % team);
    let mut most = f32::new(LOWEST);
    for step in 0..tile {
        most = max(most, scores[query * UNITS + step * team + member]);
    }
    scratch[unit] = most;
    sync_cube();
    let mut half = CUBE_DIM as usize / comptime!(2 * tile);
    while half > 0 {
        if member < half {
            scratch[unit] = max(scratch[unit], scratch[unit + half]);
        }
        sync_cube();
        half /= 2;
    }
    let most = max(scratch[query * team], largest[query]);
    sync_cube();
    let mut sum = 0.0f32;
    for step in 0..tile {
        let place = query * UNITS + step * team + member;
        let score = scores[place];
        // What is not a number is not hidden, and stays so.
        let exponential = select(score <= LOWEST, 0.0f32, (score - most).exp());
        scores[place] = exponential;
        sum += exponential;
    }
    scratch[unit] = sum;
    sync_cube();
    let mut half = CUBE_DIM as usize / comptime!(2 * tile);
    while half > 0 {
        if member < half {
            let other = scratch[unit + half];
            scratch[unit] += other;
        }
        sync_cube();
        half /= 2;
    }
    if member == 0 {
        let correction = (largest[query] - most).exp();
        corrections[query] = correction;
        sums[query] = sums[query] * correction + scratch[unit];
        largest[query] = most;
    }
    sync_cube();
}

/// Queries, keys, values and the result: `[batch_size, new, hidden_dim]`; caches: `[rows, heads,
/// room, head_dim]`, to which the cube of a token writes its key and value; `extra`: the mask,
/// `[batch_size, keys]`, the table of cache rows, `[batch_size, room]`, or the number of tokens in the
/// cache, `[1]`.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn attention_kernel<X: Float, M: Numeric, N: Size>(
    query: &[Vector<X, N>],
    key: &[Vector<X, N>],
    value: &[Vector<X, N>],
    key_cache: &mut [Vector<X, N>],
    value_cache: &mut [Vector<X, N>],
    extra: &[M],
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
    let start = if comptime!(variant.cache == Cache::Counted) {
        // There is room for the new ones.
        min(usize::cast_from(extra[0]), sizes.room - sizes.queries)
    } else {
        sizes.start
    };
    // Where the head of the first new token of the sequence is, and where it is in its cache row.
    let new = sequence * sizes.queries * width + head * lanes;
    let own_row = (sequence * sizes.heads + head) * sizes.room * lanes;

    let mut queries = Shared::<[Vector<f32, N>]>::new_slice(comptime!(tile * lanes));
    let mut scores = Shared::<[f32]>::new_slice(comptime!(tile * UNITS));
    let mut scratch = Shared::<[f32]>::new_slice(UNITS);
    let mut largest = Shared::<[f32]>::new_slice(tile);
    let mut sums = Shared::<[f32]>::new_slice(tile);
    let mut corrections = Shared::<[f32]>::new_slice(tile);
    if unit < tile {
        largest[unit] = LOWEST;
        sums[unit] = 0.0f32;
    }
    for place in range_stepped(unit, tile * lanes, UNITS) {
        let (row, lane) = (first + place / lanes, place % lanes);
        if row < sizes.queries {
            let from = new + row * width + lane;
            let scale = Vector::new(sizes.scale);
            queries[place] = Vector::<f32, N>::cast_from(query[from]) * scale;
            if comptime!(variant.cache != Cache::None) {
                let to = own_row + (start + row) * lanes + lane;
                key_cache[to] = key[from];
                value_cache[to] = value[from];
            }
        } else {
            queries[place] = Vector::new(0.0f32);
        }
    }
    sync_cube();

    // In the last stage a unit sums a vector of one query over the keys of its slice.
    let lane = unit % lanes;
    let summed = unit / lanes % tile;
    let slice = unit / comptime!(lanes * tile);
    let slices = comptime!(variant.slices());
    let mut total = Vector::<f32, N>::new(0.0f32);

    let end = start + min(first + tile, sizes.queries);
    for block in range_stepped(0, end, UNITS) {
        let token = block + unit;
        let mut dots = Array::<Vector<f32, N>>::new(tile);
        #[unroll]
        for row in 0..tile {
            dots[row] = Vector::new(0.0f32);
        }
        let mut seen = token < end;
        if comptime!(variant.masked) {
            if seen {
                let keys = start + sizes.queries;
                seen = extra[sequence * keys + token] != M::from_int(0);
            }
        }
        if seen {
            let from_cache = token < start;
            if comptime!(variant.cache != Cache::None) && from_cache {
                let row = cache_row::<M>(extra, sequence, token, &sizes, variant);
                let base = ((row * sizes.heads + head) * sizes.room + token) * lanes;
                for place in 0..lanes {
                    let part = Vector::<f32, N>::cast_from(key_cache[base + place]);
                    #[unroll]
                    for row in 0..tile {
                        dots[row] += queries[row * lanes + place] * part;
                    }
                }
            } else {
                let base = new + (token - start) * width;
                for place in 0..lanes {
                    let part = Vector::<f32, N>::cast_from(key[base + place]);
                    #[unroll]
                    for row in 0..tile {
                        dots[row] += queries[row * lanes + place] * part;
                    }
                }
            }
        }
        #[unroll]
        for row in 0..tile {
            let is_visible = seen && token <= start + first + row;
            scores[row * UNITS + unit] = select(is_visible, Vector::vector_sum(dots[row]), LOWEST);
        }
        sync_cube();
        renormalize(&mut scores, &mut scratch, &mut largest, &mut sums, &mut corrections, tile);
        if comptime!(variant.dropped) {
            #[unroll]
            for row in 0..tile {
                let place = row * UNITS + unit;
                scores[place] *= dropped(sequence_head, first + row, token, &sizes, &drop);
            }
            sync_cube();
        }
        if slice < slices {
            total *= Vector::new(corrections[summed]);
            let inside = min(UNITS, end - block);
            for offset in range_stepped(slice, inside, slices) {
                let weight = scores[summed * UNITS + offset];
                let token = block + offset;
                let from_cache = token < start;
                if comptime!(variant.cache != Cache::None) && from_cache {
                    let row = cache_row::<M>(extra, sequence, token, &sizes, variant);
                    let base = ((row * sizes.heads + head) * sizes.room + token) * lanes;
                    let part = Vector::<f32, N>::cast_from(value_cache[base + lane]);
                    total += Vector::new(weight) * part;
                } else {
                    let base = new + (token - start) * width;
                    let part = Vector::<f32, N>::cast_from(value[base + lane]);
                    total += Vector::new(weight) * part;
                }
            }
        }
        sync_cube();
    }

    let mut partial = Shared::<[Vector<f32, N>]>::new_slice(UNITS);
    let sum = sum_in_order(total, &mut partial, comptime!(lanes * tile), slices);
    if slice == 0 && first + summed < sizes.queries {
        // A query that sees no key gets zeros.
        let divisor = sums[summed];
        let factor = select(divisor <= 0.0f32, 0.0f32, 1.0f32 / divisor);
        let to = new + (first + summed) * width + lane;
        output[to] = Vector::cast_from(sum * Vector::new(factor));
    }
}

/// The cache row of an earlier token.
#[cube]
fn cache_row<M: Numeric>(
    extra: &[M],
    sequence: usize,
    token: usize,
    sizes: &Sizes,
    #[comptime] variant: Variant,
) -> usize {
    if comptime!(variant.cache == Cache::Table) {
        usize::cast_from(extra[sequence * sizes.room + token])
    } else {
        sequence
    }
}

/// How the units share the work, where they can: `tile` queries of heads of `head_dim`.
pub(super) fn variant(
    head_dim: usize,
    queries: usize,
    masked: bool,
    dropped: bool,
    cache: Cache,
) -> Option<Variant> {
    let lanes = head_dim / vector_size(head_dim);
    let mut tile = MAX_QUERIES.min(queries.next_power_of_two());
    while tile > 1 && lanes * tile > UNITS {
        tile /= 2;
    }
    (lanes * tile <= UNITS).then_some(Variant { lanes, tile, masked, dropped, cache })
}

/// The sizes of queries without a cache.
pub(super) fn sizes_of(
    query: &CubeTensor,
    options: &AttentionOptions,
    variant: Variant,
) -> SizesLaunch {
    let [_, queries, _] = query.shape().dims();
    SizesLaunch::new(
        queries,
        0,
        options.num_heads,
        0,
        queries.div_ceil(variant.tile),
        options.scale as f32,
    )
}

/// What [`AttentionOptions`] drop.
pub(super) fn drop_of(options: &AttentionOptions) -> DropLaunch {
    let (key, (threshold, factor)) = match options.dropout {
        Some(dropout) => (dropout.key, dropout.threshold_and_factor()),
        None => (0, (0, 0.0)),
    };
    DropLaunch::new(key as u32, (key >> 32) as u32, threshold, factor)
}

/// Attention of new tokens to themselves; `mask` is true where a token may be seen.
pub(super) fn attention(
    [query, key, value]: [CubeTensor; 3],
    mask: Option<CubeTensor>,
    options: AttentionOptions,
    variant: Variant,
) -> CubeTensor {
    let [query, key, value] = [query, key, value].map(contiguous);
    let [batch_size, queries, hidden_dim] = query.shape().dims();
    let extra = mask.map_or_else(|| query.clone(), contiguous);
    let output = empty(&query, query.shape(), query.dtype);
    let count = batch_size * options.num_heads * queries.div_ceil(variant.tile);
    // SAFETY: the kernel ends cubes beyond the count, skips queries and keys beyond those that
    // there are, and without a cache does not touch what stands for it here.
    unsafe {
        attention_kernel::launch_unchecked(
            &query.client,
            cubes(count),
            cube_dim(),
            vector_size(hidden_dim / options.num_heads),
            buffer(&query),
            buffer(&key),
            buffer(&value),
            buffer(&key),
            buffer(&value),
            buffer(&extra),
            buffer(&output),
            sizes_of(&query, &options, variant),
            drop_of(&options),
            count,
            variant,
            elem(&query),
            elem(&extra),
        );
    }
    output
}

/// Attention of new tokens to a cache and themselves; their keys and values are written to the
/// caches, in place, whoever else has them. `extra` is what the kind of cache needs besides.
pub(super) fn cached_attention(
    [query, key, value]: [CubeTensor; 3],
    [key_cache, value_cache]: [&CubeTensor; 2],
    extra: Option<CubeTensor>,
    start: usize,
    options: AttentionOptions,
    variant: Variant,
) -> CubeTensor {
    let [query, key, value] = [query, key, value].map(contiguous);
    let [batch_size, queries, hidden_dim] = query.shape().dims();
    let [_, _, room, _] = key_cache.shape().dims();
    let extra = extra.map_or_else(|| query.clone(), contiguous);
    let output = empty(&query, query.shape(), query.dtype);
    let tiles = queries.div_ceil(variant.tile);
    let count = batch_size * options.num_heads * tiles;
    // SAFETY: as in `attention`; the cache has room for the new tokens and rows for the sequences,
    // and the table names rows of it, by the caller's promise.
    unsafe {
        attention_kernel::launch_unchecked(
            &query.client,
            cubes(count),
            cube_dim(),
            vector_size(hidden_dim / options.num_heads),
            buffer(&query),
            buffer(&key),
            buffer(&value),
            buffer(key_cache),
            buffer(value_cache),
            buffer(&extra),
            buffer(&output),
            SizesLaunch::new(queries, start, options.num_heads, room, tiles, options.scale as f32),
            drop_of(&options),
            count,
            variant,
            elem(&query),
            elem(&extra),
        );
    }
    output
}

/// The table of cache rows on the device, `[batch_size * room]`.
pub(super) fn table(rows: &[u32], like: &CubeTensor) -> CubeTensor {
    let data = TensorData::new(rows.to_vec(), [rows.len()]);
    CubeBackend::int_from_data(data, &like.device)
}
