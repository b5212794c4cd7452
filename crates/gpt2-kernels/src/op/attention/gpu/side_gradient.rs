//! Gradients of one side of attention: of queries, or of keys and values.

use burn_cubecl::cubecl::ir::ElemType;
use burn_cubecl::cubecl::{self, prelude::*};

use super::variant::{ProbabilityDropout, Sizes, Variant, factor_of, share_of};
use crate::gpu::launch::UNITS;
use crate::gpu::reduce::sum_in_order;

/// Number of buffers of the kernel, without those of sizes.
pub(super) const BUFFERS: usize = 8;

/// Side whose gradients a kernel computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Side {
    /// Queries, from the keys that they see.
    Queries,
    /// Keys and values, from the queries that see them.
    Keys,
}

/// Tokens of a cube: a tile of a head of a sequence.
#[derive(Clone, Copy, CubeType)]
struct Place {
    sizes: Sizes,
    dropout: ProbabilityDropout,
    sequence_head: usize,
    sequence: usize,
    /// Index of the first token.
    first: usize,
    /// Offset of the head's vectors within the sequence's first token.
    base: usize,
}

/// A query and a key.
#[derive(Clone, Copy, CubeType)]
struct Pair {
    query: usize,
    key: usize,
}

/// Products of a token of the other side with each token of the tile, by lanes.
#[derive(CubeType)]
struct Products<N: Size> {
    /// Products of the first vectors: scores.
    firsts: Array<Vector<f32, N>>,
    /// Products of the second vectors: gradients by probabilities.
    seconds: Array<Vector<f32, N>>,
}

/// Results of a block of [`UNITS`] tokens of the other side, for each token of the tile.
#[derive(CubeType)]
struct Block {
    /// Gradients by scores.
    slopes: Shared<[f32]>,
    /// Weights of values, on the keys' side.
    weights: Shared<[f32]>,
}

/// First and second vectors of each token of the tile.
#[derive(CubeType)]
struct Tile<N: Size> {
    firsts: Shared<[Vector<f32, N>]>,
    seconds: Shared<[Vector<f32, N>]>,
}

#[cube]
fn place_of(sizes: Sizes, dropout: ProbabilityDropout, #[comptime] variant: Variant) -> Place {
    let lanes = comptime!(variant.lanes);
    let sequence_head = CUBE_POS / sizes.tiles;
    let (sequence, head) = (sequence_head / sizes.heads, sequence_head % sizes.heads);
    let first = CUBE_POS % sizes.tiles * comptime!(variant.tile);
    let base = sequence * sizes.queries * sizes.heads * lanes + head * lanes;
    Place { sizes, dropout, sequence_head, sequence, first, base }
}

/// Loads a head's vectors of the tile; zeros past the last token.
#[cube]
fn load_tile<X: Float, N: Size>(
    source: &[Vector<X, N>],
    target: &mut Shared<[Vector<f32, N>]>,
    place: &Place,
    #[comptime] variant: Variant,
) {
    let lanes = comptime!(variant.lanes);
    let count = comptime!(variant.tile * variant.lanes);
    for at in range_stepped(UNIT_POS as usize, count, UNITS) {
        let (token, lane) = (place.first + at / lanes, at % lanes);
        if token < place.sizes.queries {
            let from = place.base + token * place.sizes.heads * lanes + lane;
            target[at] = Vector::cast_from(source[from]);
        } else {
            target[at] = Vector::new(0.0f32);
        }
    }
}

/// Products of a token's vectors with those of each token of the tile; zeros past the last token.
#[cube]
fn products_of<X: Float, N: Size>(
    first: &[Vector<X, N>],
    second: &[Vector<X, N>],
    token: usize,
    end: usize,
    own: &Tile<N>,
    place: &Place,
    #[comptime] variant: Variant,
) -> Products<N> {
    let tile = comptime!(variant.tile);
    let lanes = comptime!(variant.lanes);
    let mut products = Products::<N> { firsts: Array::new(tile), seconds: Array::new(tile) };
    #[unroll]
    for offset in 0..tile {
        products.firsts[offset] = Vector::new(0.0f32);
        products.seconds[offset] = Vector::new(0.0f32);
    }
    if token < end {
        let from = place.base + token * place.sizes.heads * lanes;
        for lane in 0..lanes {
            let first_part = Vector::<f32, N>::cast_from(first[from + lane]);
            let second_part = Vector::<f32, N>::cast_from(second[from + lane]);
            #[unroll]
            for offset in 0..tile {
                products.firsts[offset] += own.firsts[offset * lanes + lane] * first_part;
                products.seconds[offset] += own.seconds[offset * lanes + lane] * second_part;
            }
        }
    }
    products
}

/// Whether a query sees a key.
#[cube]
fn is_seen<M: Numeric>(
    mask: &[M],
    pair: &Pair,
    place: &Place,
    #[comptime] variant: Variant,
) -> bool {
    let mut seen = pair.query < place.sizes.queries && pair.key <= pair.query;
    if comptime!(variant.masked) {
        if seen {
            seen = mask[place.sequence * place.sizes.queries + pair.key] != M::from_int(0);
        }
    }
    seen
}

/// Gradient by a score and weight of the value, from the products of query and key and of gradient
/// and value.
#[cube]
fn slope_and_weight(
    statistics: &[f32],
    product: f32,
    value_product: f32,
    pair: &Pair,
    place: &Place,
    #[comptime] variant: Variant,
) -> (f32, f32) {
    let at = 2 * (place.sequence_head * place.sizes.queries + pair.query);
    let score = product * place.sizes.scale;
    let probability = (score - statistics[at]).exp();
    let mut slope = value_product;
    let mut weight = probability;
    if comptime!(variant.dropped) {
        let (query, key) = (pair.query, pair.key);
        let factor = factor_of(place.sequence_head, query, key, &place.sizes, &place.dropout);
        weight *= factor;
        slope *= factor;
    }
    (probability * (slope - statistics[at + 1]) * place.sizes.scale, weight)
}

/// Writes the unit's results of a block: those of its token of the other side.
#[cube]
fn write_block<M: Numeric, N: Size>(
    products: &Products<N>,
    statistics: &[f32],
    mask: &[M],
    block: &mut Block,
    other: usize,
    place: &Place,
    #[comptime] kind: (Side, Variant),
) {
    let unit = UNIT_POS as usize;
    let side = comptime!(kind.0);
    let variant = comptime!(kind.1);
    let tile = comptime!(variant.tile);
    #[unroll]
    for offset in 0..tile {
        let own = place.first + offset;
        let pair = match comptime!(side) {
            Side::Queries => Pair { query: own, key: other },
            Side::Keys => Pair { query: other, key: own },
        };
        let mut slope = 0.0f32;
        let mut weight = 0.0f32;
        if is_seen::<M>(mask, &pair, place, variant) {
            let product = Vector::vector_sum(products.firsts[offset]);
            let value_product = Vector::vector_sum(products.seconds[offset]);
            let (found_slope, found_weight) =
                slope_and_weight(statistics, product, value_product, &pair, place, variant);
            slope = found_slope;
            weight = found_weight;
        }
        block.slopes[offset * UNITS + unit] = slope;
        if comptime!(side == Side::Keys) {
            block.weights[offset * UNITS + unit] = weight;
        }
    }
}

/// Gradients of one side. A cube takes a tile of the side's tokens and goes through the tokens of
/// the other side that meet them.
///
/// The first vectors are queries and keys: their product is a score. The second are output
/// gradients and values: their product is the gradient by a probability. The gradient by a query or
/// key is the sum of the other side's first vectors, times the gradients by scores. The gradient by
/// a value is the sum of the output gradients, times probabilities.
/// side's first vectors, times slopes; that by a value the sum of gradients, times probabilities.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "eight buffers")]
pub(super) fn side_gradient_kernel<X: Float, M: Numeric, N: Size>(
    own_first: &[Vector<X, N>],
    own_second: &[Vector<X, N>],
    other_first: &[Vector<X, N>],
    other_second: &[Vector<X, N>],
    mask: &[M],
    statistics: &[f32],
    by_first: &mut [Vector<X, N>],
    by_second: &mut [Vector<X, N>],
    sizes: Sizes,
    dropout: ProbabilityDropout,
    count: usize,
    #[comptime] side: Side,
    #[comptime] variant: Variant,
    #[define(X)] _x_type: ElemType,
    #[define(M)] _m_type: ElemType,
) {
    if CUBE_POS >= count {
        terminate!();
    }
    let tile = comptime!(variant.tile);
    let lanes = comptime!(variant.lanes);
    let place = place_of(sizes, dropout, variant);
    let width = place.sizes.heads * lanes;
    let mut own = Tile::<N> {
        firsts: Shared::new_slice(comptime!(tile * lanes)),
        seconds: Shared::new_slice(comptime!(tile * lanes)),
    };
    let mut found = Block {
        slopes: Shared::new_slice(comptime!(tile * UNITS)),
        weights: Shared::new_slice(comptime!(match side {
            Side::Queries => 1,
            Side::Keys => tile * UNITS,
        })),
    };
    load_tile(own_first, &mut own.firsts, &place, variant);
    load_tile(own_second, &mut own.seconds, &place, variant);
    sync_cube();

    let share = share_of(variant);
    let slices = comptime!(variant.slices());
    let mut first_total = Vector::<f32, N>::new(0.0f32);
    let mut second_total = Vector::<f32, N>::new(0.0f32);
    // The last key that a query sees, and the first query that sees a key, have its own position.
    let (start, end) = match comptime!(side) {
        Side::Queries => (0usize.runtime(), min(place.first + tile, place.sizes.queries)),
        Side::Keys => (place.first, place.sizes.queries),
    };
    for block in range_stepped(start, end, UNITS) {
        let other = block + UNIT_POS as usize;
        let products = products_of(other_first, other_second, other, end, &own, &place, variant);
        let kind = comptime!((side, variant));
        write_block::<M, N>(&products, statistics, mask, &mut found, other, &place, kind);
        sync_cube();
        if share.slice < slices {
            let inside = min(UNITS, end - block);
            for offset in range_stepped(share.slice, inside, slices) {
                let from = place.base + (block + offset) * width + share.lane;
                let slope = Vector::new(found.slopes[share.token * UNITS + offset]);
                first_total += slope * Vector::cast_from(other_first[from]);
                if comptime!(side == Side::Keys) {
                    let weight = Vector::new(found.weights[share.token * UNITS + offset]);
                    second_total += weight * Vector::cast_from(other_second[from]);
                }
            }
        }
        sync_cube();
    }

    let token = place.first + share.token;
    let is_last = share.slice == 0 && token < place.sizes.queries;
    let to = place.base + token * width + share.lane;
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
