//! What the attention operations take besides tensors.

use std::sync::Arc;

use burn::backend::tensor::BoolTensor;
use burn::backend::{Backend, ExtensionType};

/// How scores are computed, and what is dropped.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AttentionOptions {
    /// Heads that lie side by side in queries, keys and values.
    pub num_heads: usize,
    /// Factor of the queries.
    pub scale: f64,
    /// Drops probabilities in training.
    pub dropout: Option<DropoutKey>,
}

/// Which numbers are dropped: those whose random number under this key says so.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DropoutKey {
    /// The key of the random numbers, which are counted by the place of a number in its tensor.
    pub key: u64,
    /// The probability that a number is dropped; the others are divided by `1 - rate`.
    pub rate: f64,
}

impl DropoutKey {
    /// What the number at this place is multiplied by.
    #[cfg(any(feature = "flex", feature = "ndarray"))]
    #[inline]
    pub(crate) fn factor(self, index: u64) -> f32 {
        let (threshold, factor) = self.threshold_and_factor();
        let number = (counted_random(self.key, index) >> 32) as u32;
        if number < threshold { factor } else { 0.0 }
    }

    /// Below what the upper half of a random number keeps a number of the tensor, and what that is
    /// multiplied by. Where nothing is dropped, one number in 2^32 is.
    #[cfg(any(feature = "flex", feature = "ndarray", feature = "gpu"))]
    #[inline]
    pub(crate) fn threshold_and_factor(self) -> (u32, f32) {
        let keep = 1.0 - self.rate;
        ((keep * 2f64.powi(32)) as u32, (1.0 / keep) as f32)
    }
}

/// The random number with this index under this key: SplitMix64
/// ([Steele et al., 2014](https://doi.org/10.1145/2714064.2660195)), whose state is counted.
#[inline]
pub fn counted_random(key: u64, index: u64) -> u64 {
    let mut z = key.wrapping_add((index + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Where the keys and values of earlier tokens are.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CachedKeys {
    /// Number of earlier tokens.
    pub start: usize,
    /// The row of the cache in which each token of each sequence is, `[batch_size][max_length]`;
    /// none where sequence `i` is in row `i`.
    pub rows: Option<Arc<[u32]>>,
}

/// Which keys may be seen besides those that the causal order hides.
#[derive(Debug, Clone, ExtensionType)]
pub enum Padding<B: Backend> {
    /// All.
    None,
    /// Those where it is true, `[batch_size, keys]`.
    Keep(BoolTensor<B>),
}
