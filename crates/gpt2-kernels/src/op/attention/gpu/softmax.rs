//! Running softmax of a tile of queries, a block of keys at a time.

use burn_cubecl::cubecl::{self, prelude::*};

use super::tile::Place;
use super::variant::{LOWEST, factor_of};
use crate::gpu::launch::UNITS;

/// Running softmax of a tile of queries.
#[derive(CubeType)]
pub(super) struct Softmax {
    /// Scores, then exponentials, of a block of [`UNITS`] keys for each query. Hidden scores are
    /// [`LOWEST`].
    pub(super) scores: Shared<[f32]>,
    scratch: Shared<[f32]>,
    /// Largest score of each query so far.
    largest: Shared<[f32]>,
    /// Sum of each query's exponentials so far.
    pub(super) sums: Shared<[f32]>,
    /// Correction factor of the exponentials before the last block, for each query.
    pub(super) corrections: Shared<[f32]>,
}

/// State before the first block.
#[cube]
pub(super) fn softmax_of(#[comptime] tile: usize) -> Softmax {
    let unit = UNIT_POS as usize;
    let mut softmax = Softmax {
        scores: Shared::new_slice(comptime!(tile * UNITS)),
        scratch: Shared::new_slice(UNITS),
        largest: Shared::new_slice(tile),
        sums: Shared::new_slice(tile),
        corrections: Shared::new_slice(tile),
    };
    if unit < tile {
        softmax.largest[unit] = LOWEST;
        softmax.sums[unit] = 0.0f32;
    }
    softmax
}

/// Writes the scores of the unit's key in a block.
#[cube]
pub(super) fn write_scores<N: Size>(
    products: &Array<Vector<f32, N>>,
    softmax: &mut Softmax,
    token: usize,
    seen: bool,
    place: &Place,
    #[comptime] tile: usize,
) {
    let unit = UNIT_POS as usize;
    #[unroll]
    for row in 0..tile {
        let is_visible = seen && token <= place.start + place.first + row;
        let score = Vector::vector_sum(products[row]);
        softmax.scores[row * UNITS + unit] = select(is_visible, score, LOWEST);
    }
}

/// Turns a block's scores into exponentials and updates each query's largest score and sum.
#[cube]
pub(super) fn renormalize(softmax: &mut Softmax, #[comptime] tile: usize) {
    let unit = UNIT_POS as usize;
    let team = comptime!(UNITS / tile);
    let (query, member) = (unit / team, unit % team);
    let mut most = f32::new(LOWEST);
    for step in 0..tile {
        most = max(most, softmax.scores[query * UNITS + step * team + member]);
    }
    softmax.scratch[unit] = most;
    sync_cube();
    let mut half = CUBE_DIM as usize / comptime!(2 * tile);
    while half > 0 {
        if member < half {
            softmax.scratch[unit] = max(softmax.scratch[unit], softmax.scratch[unit + half]);
        }
        sync_cube();
        half /= 2;
    }
    let most = max(softmax.scratch[query * team], softmax.largest[query]);
    sync_cube();
    let mut sum = 0.0f32;
    for step in 0..tile {
        let place = query * UNITS + step * team + member;
        let score = softmax.scores[place];
        // NaN is not hidden: it stays NaN.
        let exponential = select(score <= LOWEST, 0.0f32, (score - most).exp());
        softmax.scores[place] = exponential;
        sum += exponential;
    }
    softmax.scratch[unit] = sum;
    sync_cube();
    let mut half = CUBE_DIM as usize / comptime!(2 * tile);
    while half > 0 {
        if member < half {
            let other = softmax.scratch[unit + half];
            softmax.scratch[unit] += other;
        }
        sync_cube();
        half /= 2;
    }
    if member == 0 {
        let correction = (softmax.largest[query] - most).exp();
        softmax.corrections[query] = correction;
        softmax.sums[query] = softmax.sums[query] * correction + softmax.scratch[unit];
        softmax.largest[query] = most;
    }
    sync_cube();
}

/// Multiplies the exponentials of the unit's key by their dropout factors.
#[cube]
pub(super) fn drop_exponentials(
    softmax: &mut Softmax,
    token: usize,
    place: &Place,
    #[comptime] tile: usize,
) {
    let unit = UNIT_POS as usize;
    #[unroll]
    for row in 0..tile {
        let query = place.first + row;
        softmax.scores[row * UNITS + unit] *=
            factor_of(place.sequence_head, query, token, &place.sizes, &place.dropout);
    }
}
