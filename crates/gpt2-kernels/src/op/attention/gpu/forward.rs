//! The forward kernel.

use burn::backend::TensorMetadata;
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl::ir::ElemType;
use burn_cubecl::cubecl::{self, prelude::*};
use burn_cubecl::tensor::CubeTensor;

use super::softmax::{drop_exponentials, renormalize, softmax_of, write_scores};
use super::tile::{
    add_products, cached_at, is_seen, load_queries, new_at, place_of, write_to_cache,
};
use super::variant::{
    Cache, ProbabilityDropout, Sizes, SizesLaunch, Variant, dropout_of, share_of, sizes_of,
};
use crate::gpu::launch::{UNITS, buffer, contiguous, cube_dim, cubes, elem, empty, vector_size};
use crate::gpu::reduce::sum_in_order;
use crate::op::attention::inputs::{AttentionOptions, CacheTensors, QkvTensors};

/// Queries, keys, values and the result are `[batch_size, new, hidden_dim]`. Caches are `[rows,
/// heads, room, head_dim]`; the cube of a token writes its key and value there. `extra` is the
/// mask, `[batch_size, keys]`, the table of cache rows, `[batch_size, room]`, or the number of
/// tokens in the cache, `[1]`.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "seven buffers")]
fn attention_kernel<X: Float, M: Numeric, N: Size>(
    query: &[Vector<X, N>],
    key: &[Vector<X, N>],
    value: &[Vector<X, N>],
    key_cache: &mut [Vector<X, N>],
    value_cache: &mut [Vector<X, N>],
    extra: &[M],
    output: &mut [Vector<X, N>],
    sizes: Sizes,
    dropout: ProbabilityDropout,
    count: usize,
    #[comptime] variant: Variant,
    #[define(X)] _x_type: ElemType,
    #[define(M)] _m_type: ElemType,
) {
    if CUBE_POS >= count {
        terminate!();
    }
    let tile = comptime!(variant.tile);
    let lanes = comptime!(variant.lanes);
    let place = place_of::<M>(extra, sizes, dropout, variant);
    let mut softmax = softmax_of(tile);
    let mut queries = Shared::<[Vector<f32, N>]>::new_slice(comptime!(tile * lanes));
    load_queries(query, &mut queries, &place, variant);
    if comptime!(variant.cache != Cache::None) {
        write_to_cache(key, key_cache, &place, variant);
        write_to_cache(value, value_cache, &place, variant);
    }
    sync_cube();

    let share = share_of(variant);
    let slices = comptime!(variant.slices());
    let mut total = Vector::<f32, N>::new(0.0f32);

    let end = place.start + min(place.first + tile, place.sizes.queries);
    for block in range_stepped(0, end, UNITS) {
        let token = block + UNIT_POS as usize;
        let mut products = Array::<Vector<f32, N>>::new(tile);
        #[unroll]
        for row in 0..tile {
            products[row] = Vector::new(0.0f32);
        }
        let seen = is_seen::<M>(extra, token, end, &place, variant);
        if seen {
            let from_cache = token < place.start;
            if comptime!(variant.cache != Cache::None) && from_cache {
                let start = cached_at::<M>(extra, token, &place, variant);
                add_products(&*key_cache, start, &queries, &mut products, variant);
            } else {
                let start = new_at(token, &place, variant);
                add_products(key, start, &queries, &mut products, variant);
            }
        }
        write_scores(&products, &mut softmax, token, seen, &place, tile);
        sync_cube();
        renormalize(&mut softmax, tile);
        if comptime!(variant.dropped) {
            drop_exponentials(&mut softmax, token, &place, tile);
            sync_cube();
        }
        if share.slice < slices {
            total *= Vector::new(softmax.corrections[share.token]);
            let inside = min(UNITS, end - block);
            for offset in range_stepped(share.slice, inside, slices) {
                let weight = Vector::new(softmax.scores[share.token * UNITS + offset]);
                let token = block + offset;
                let from_cache = token < place.start;
                if comptime!(variant.cache != Cache::None) && from_cache {
                    let start = cached_at::<M>(extra, token, &place, variant);
                    total += weight * Vector::cast_from(value_cache[start + share.lane]);
                } else {
                    let start = new_at(token, &place, variant);
                    total += weight * Vector::cast_from(value[start + share.lane]);
                }
            }
        }
        sync_cube();
    }

    let mut partial = Shared::<[Vector<f32, N>]>::new_slice(UNITS);
    let sum = sum_in_order(total, &mut partial, comptime!(lanes * tile), slices);
    let row = place.first + share.token;
    if share.slice == 0 && row < place.sizes.queries {
        // A query that sees no key gets zeros.
        let divisor = softmax.sums[share.token];
        let factor = select(divisor <= 0.0f32, 0.0f32, 1.0f32 / divisor);
        let to = place.new + row * place.sizes.heads * lanes + share.lane;
        output[to] = Vector::cast_from(sum * Vector::new(factor));
    }
}

/// Attention of tokens to themselves; `mask` is true where a token may be seen.
pub(super) fn attention(
    qkv: QkvTensors<CubeBackend>,
    mask: Option<CubeTensor>,
    options: AttentionOptions,
    variant: Variant,
) -> CubeTensor {
    let QkvTensors { query, key, value } = qkv.map(contiguous);
    let [batch_size, queries, hidden_dim] = query.shape().dims();
    let extra = mask.map_or_else(|| query.clone(), contiguous);
    let output = empty(&query, query.shape(), query.dtype);
    let count = batch_size * options.num_heads * queries.div_ceil(variant.tile);
    // SAFETY: the kernel stops surplus cubes and skips queries and keys past the last. Without a
    // cache it does not touch the buffers that are bound in the caches' place.
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
            dropout_of(&options),
            count,
            variant,
            elem(&query),
            elem(&extra),
        );
    }
    output
}

/// Attention of new tokens to a cache and themselves. Writes their keys and values to the caches in
/// place, even if other references to these are held. `extra` is as in `attention_kernel`.
pub(super) fn cached_attention(
    qkv: QkvTensors<CubeBackend>,
    caches: &CacheTensors<CubeBackend>,
    extra: Option<CubeTensor>,
    start: usize,
    options: AttentionOptions,
    variant: Variant,
) -> CubeTensor {
    let QkvTensors { query, key, value } = qkv.map(contiguous);
    let [batch_size, queries, hidden_dim] = query.shape().dims();
    let [_, _, room, _] = caches.keys.shape().dims();
    let extra = extra.map_or_else(|| query.clone(), contiguous);
    let output = empty(&query, query.shape(), query.dtype);
    let tiles = queries.div_ceil(variant.tile);
    let count = batch_size * options.num_heads * tiles;
    let scale = options.scale as f32;
    let sizes = SizesLaunch::new(queries, start, options.num_heads, room, tiles, scale);
    // SAFETY: as in `attention`. The caller promises that the cache has room for the new tokens and
    // rows for the sequences, and that the table names rows of the cache.
    unsafe {
        attention_kernel::launch_unchecked(
            &query.client,
            cubes(count),
            cube_dim(),
            vector_size(hidden_dim / options.num_heads),
            buffer(&query),
            buffer(&key),
            buffer(&value),
            buffer(&caches.keys),
            buffer(&caches.values),
            buffer(&extra),
            buffer(&output),
            sizes,
            dropout_of(&options),
            count,
            variant,
            elem(&query),
            elem(&extra),
        );
    }
    output
}
