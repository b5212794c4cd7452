//! The kernels' variants and sizes, and the work of a cube.

use burn::backend::TensorMetadata;
use burn_cubecl::cubecl::{self, prelude::*};
use burn_cubecl::tensor::CubeTensor;

use crate::gpu::launch::{UNITS, vector_size};
use crate::gpu::random::dropout_factor;
use crate::op::attention::inputs::AttentionOptions;

/// Largest number of queries of a cube.
const MAX_QUERIES: usize = 8;

/// Marks hidden scores: below every score that occurs.
pub(super) const LOWEST: f32 = -1e30;

/// Constants for which a kernel is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Variant {
    /// Number of vectors of a head.
    pub(super) lanes: usize,
    /// Number of queries, or keys, of a cube.
    pub(super) tile: usize,
    /// Whether there is a mask.
    pub(super) masked: bool,
    /// Whether probabilities are dropped.
    pub(super) dropped: bool,
    /// Location of earlier keys.
    pub(super) cache: Cache,
}

/// Location of earlier keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Cache {
    /// There are none.
    None,
    /// Sequence `i` is in row `i` of the cache.
    Straight,
    /// A table has the row of each token of each sequence.
    Table,
    /// As `Straight`, with the number of tokens in the cache on the device.
    Counted,
}

impl Variant {
    /// Number of slices of the keys; each slice has units of its own for the sums.
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
    /// Number of tokens that a cache row holds.
    pub(super) room: usize,
    /// Tiles of queries, or of keys, of a head.
    pub(super) tiles: usize,
    /// Scale of the scores.
    pub(super) scale: f32,
}

/// Dropout of probabilities.
#[derive(Debug, Clone, Copy, CubeLaunch, CubeType)]
pub(super) struct ProbabilityDropout {
    /// Low half of the key.
    low: u32,
    /// High half.
    high: u32,
    /// Keep threshold.
    threshold: u32,
    /// Factor of kept probabilities.
    factor: f32,
}

/// Part of the last phase that a unit sums: one vector of one token of the tile, over a slice of
/// the tokens that it meets.
#[derive(Clone, Copy, CubeType)]
pub(super) struct Share {
    /// Vector of the head.
    pub(super) lane: usize,
    /// Token of the tile.
    pub(super) token: usize,
    pub(super) slice: usize,
}

#[cube]
pub(super) fn share_of(#[comptime] variant: Variant) -> Share {
    let unit = UNIT_POS as usize;
    let lanes = comptime!(variant.lanes);
    let tile = comptime!(variant.tile);
    Share { lane: unit % lanes, token: unit / lanes % tile, slice: unit / comptime!(lanes * tile) }
}

/// Dropout factor of a probability.
#[cube]
pub(super) fn factor_of(
    sequence_head: usize,
    query: usize,
    key: usize,
    sizes: &Sizes,
    dropout: &ProbabilityDropout,
) -> f32 {
    let index = (sequence_head * sizes.queries + query) * (sizes.start + sizes.queries) + key;
    dropout_factor(index as u32, dropout.low, dropout.high, dropout.threshold, dropout.factor)
}

/// Split of the work among units for `tile` queries of heads of `head_dim`, if there is one.
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

/// Sizes without a cache.
pub(super) fn sizes_of(
    query: &CubeTensor,
    options: &AttentionOptions,
    variant: Variant,
) -> SizesLaunch {
    let [_, queries, _] = query.shape().dims();
    let tiles = queries.div_ceil(variant.tile);
    SizesLaunch::new(queries, 0, options.num_heads, 0, tiles, options.scale as f32)
}

/// Dropout that [`AttentionOptions`] request.
pub(super) fn dropout_of(options: &AttentionOptions) -> ProbabilityDropoutLaunch {
    let (key, (threshold, factor)) = match options.dropout {
        Some(dropout) => (dropout.key, dropout.threshold_and_factor()),
        None => (0, (0, 0.0)),
    };
    ProbabilityDropoutLaunch::new(key as u32, (key >> 32) as u32, threshold, factor)
}
