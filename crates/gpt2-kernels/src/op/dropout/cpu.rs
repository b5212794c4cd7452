//! Dropout on the CPU.

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;
use pulp::{Simd, WithSimd};

use super::key::DropoutKey;
use super::{DropoutOps, composed};
use crate::cpu::simd::dispatch;
use crate::cpu::tensors::{changed, has_kernel};
use crate::cpu::threads::in_chunks;

impl DropoutOps for Flex {
    fn fused_dropout(x: FloatTensor<Self>, key: DropoutKey) -> FloatTensor<Self> {
        if !has_kernel(&[&x]) {
            return composed::counted_dropout::<Self>(x, key);
        }
        changed(x, |x| dropout(x, key))
    }
}

/// Multiplies every number by the key's factor for its index.
fn dropout(x: &mut [f32], key: DropoutKey) {
    // A random number costs about four products.
    in_chunks(x, 4, |start, x| dispatch(Chunk { x, start: start as u64, key }));
}

struct Chunk<'a> {
    x: &'a mut [f32],
    start: u64,
    key: DropoutKey,
}

impl WithSimd for Chunk<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (x, index) in self.x.iter_mut().zip(self.start..) {
            *x *= self.key.factor(index);
        }
    }
}
