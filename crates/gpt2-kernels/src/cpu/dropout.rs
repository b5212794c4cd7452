//! Dropout by the numbers of a key.

use pulp::{Simd, WithSimd};

use super::simd::dispatch;
use super::threads::in_chunks;
use crate::attention::DropoutKey;

/// Multiplies every number by the key's factor for its place.
pub(crate) fn dropout(x: &mut [f32], dropout: DropoutKey) {
    // A random number takes as long as some four products.
    in_chunks(x, 4, |start, x| dispatch(Chunk { x, start: start as u64, dropout }));
}

struct Chunk<'a> {
    x: &'a mut [f32],
    start: u64,
    dropout: DropoutKey,
}

impl WithSimd for Chunk<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (x, index) in self.x.iter_mut().zip(self.start..) {
            *x *= self.dropout.factor(index);
        }
    }
}
