//! Queries of a cube, and the keys and values that they meet.

use burn_cubecl::cubecl::{self, prelude::*};

use super::variant::{Cache, ProbabilityDropout, Sizes, Variant};
use crate::gpu::launch::UNITS;

/// Queries of a cube: a tile of a head of a sequence.
#[derive(Clone, Copy, CubeType)]
pub(super) struct Place {
    pub(super) sizes: Sizes,
    pub(super) dropout: ProbabilityDropout,
    pub(super) sequence_head: usize,
    pub(super) sequence: usize,
    pub(super) head: usize,
    /// Index of the first query.
    pub(super) first: usize,
    /// Number of tokens in the cache.
    pub(super) start: usize,
    /// Offset of the head's vectors in those of the sequence's first new token.
    pub(super) new: usize,
    /// Offset of the head in the sequence's own cache row.
    pub(super) own_row: usize,
}

#[cube]
pub(super) fn place_of<M: Numeric>(
    extra: &[M],
    sizes: Sizes,
    dropout: ProbabilityDropout,
    #[comptime] variant: Variant,
) -> Place {
    let tile = comptime!(variant.tile);
    let lanes = comptime!(variant.lanes);
    let sequence_head = CUBE_POS / sizes.tiles;
    let (sequence, head) = (sequence_head / sizes.heads, sequence_head % sizes.heads);
    let start = if comptime!(variant.cache == Cache::Counted) {
        // Clamped, so that the new tokens always fit.
        min(usize::cast_from(extra[0]), sizes.room - sizes.queries)
    } else {
        sizes.start
    };
    let first = CUBE_POS % sizes.tiles * tile;
    let new = sequence * sizes.queries * sizes.heads * lanes + head * lanes;
    let own_row = (sequence * sizes.heads + head) * sizes.room * lanes;
    Place { sizes, dropout, sequence_head, sequence, head, first, start, new, own_row }
}

/// Loads the queries, times the scale; zeros past the last query.
#[cube]
pub(super) fn load_queries<X: Float, N: Size>(
    query: &[Vector<X, N>],
    queries: &mut Shared<[Vector<f32, N>]>,
    place: &Place,
    #[comptime] variant: Variant,
) {
    let lanes = comptime!(variant.lanes);
    for at in range_stepped(UNIT_POS as usize, comptime!(variant.tile * variant.lanes), UNITS) {
        let (row, lane) = (place.first + at / lanes, at % lanes);
        if row < place.sizes.queries {
            let from = place.new + row * place.sizes.heads * lanes + lane;
            let scale = Vector::new(place.sizes.scale);
            queries[at] = Vector::<f32, N>::cast_from(query[from]) * scale;
        } else {
            queries[at] = Vector::new(0.0f32);
        }
    }
}

/// Writes the keys, or the values, of the tile's tokens to the cache.
#[cube]
pub(super) fn write_to_cache<X: Float, N: Size>(
    new: &[Vector<X, N>],
    cache: &mut [Vector<X, N>],
    place: &Place,
    #[comptime] variant: Variant,
) {
    let lanes = comptime!(variant.lanes);
    for at in range_stepped(UNIT_POS as usize, comptime!(variant.tile * variant.lanes), UNITS) {
        let (row, lane) = (place.first + at / lanes, at % lanes);
        if row < place.sizes.queries {
            let from = place.new + row * place.sizes.heads * lanes + lane;
            cache[place.own_row + (place.start + row) * lanes + lane] = new[from];
        }
    }
}

/// Whether any query may see a token.
#[cube]
pub(super) fn is_seen<M: Numeric>(
    extra: &[M],
    token: usize,
    end: usize,
    place: &Place,
    #[comptime] variant: Variant,
) -> bool {
    let mut seen = token < end;
    if comptime!(variant.masked) {
        if seen {
            let keys = place.start + place.sizes.queries;
            seen = extra[place.sequence * keys + token] != M::from_int(0);
        }
    }
    seen
}

/// Offset of a token's vectors in a cache.
#[cube]
pub(super) fn cached_at<M: Numeric>(
    extra: &[M],
    token: usize,
    place: &Place,
    #[comptime] variant: Variant,
) -> usize {
    let row = if comptime!(variant.cache == Cache::Table) {
        usize::cast_from(extra[place.sequence * place.sizes.room + token])
    } else {
        place.sequence
    };
    let lanes = comptime!(variant.lanes);
    ((row * place.sizes.heads + place.head) * place.sizes.room + token) * lanes
}

/// Offset of a new token's vectors.
#[cube]
pub(super) fn new_at(token: usize, place: &Place, #[comptime] variant: Variant) -> usize {
    place.new + (token - place.start) * place.sizes.heads * comptime!(variant.lanes)
}

/// Adds the products of a key with each query, by lanes.
#[cube]
pub(super) fn add_products<X: Float, N: Size>(
    key: &[Vector<X, N>],
    start: usize,
    queries: &Shared<[Vector<f32, N>]>,
    products: &mut Array<Vector<f32, N>>,
    #[comptime] variant: Variant,
) {
    let lanes = comptime!(variant.lanes);
    let tile = comptime!(variant.tile);
    for lane in 0..lanes {
        let part = Vector::<f32, N>::cast_from(key[start + lane]);
        #[unroll]
        for row in 0..tile {
            products[row] += queries[row * lanes + lane] * part;
        }
    }
}
