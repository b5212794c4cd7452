//! Key that selects the dropped numbers.

#[cfg(any(feature = "flex", feature = "ndarray"))]
use crate::random::counted_random;

/// Key of a dropout: the same key drops the same numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DropoutKey {
    /// Key of the random numbers; their index is that of a number in its tensor.
    pub key: u64,
    /// Probability that a number is dropped. The others are divided by `1 - rate`.
    pub rate: f64,
}

impl DropoutKey {
    /// Dropout factor of the number at this index.
    #[cfg(any(feature = "flex", feature = "ndarray"))]
    #[inline]
    pub(crate) fn factor(self, index: u64) -> f32 {
        let (threshold, factor) = self.threshold_and_factor();
        let number = (counted_random(self.key, index) >> 32) as u32;
        if number < threshold { factor } else { 0.0 }
    }

    /// Keep threshold for the high half of a random number, and factor of kept numbers. At a rate
    /// of 0, one number in 2^32 is still dropped.
    #[cfg(any(feature = "flex", feature = "ndarray", feature = "gpu"))]
    #[inline]
    pub(crate) fn threshold_and_factor(self) -> (u32, f32) {
        let keep = 1.0 - self.rate;
        ((keep * 2f64.powi(32)) as u32, (1.0 / keep) as f32)
    }
}
