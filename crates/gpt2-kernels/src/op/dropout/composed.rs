//! Dropout from burn's own operations: for every device and float type.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::Distribution;
#[cfg(any(feature = "flex", feature = "ndarray"))]
use burn::tensor::TensorData;

#[cfg(feature = "ndarray")]
use super::DropoutOps;
use super::key::DropoutKey;

#[cfg(feature = "ndarray")]
impl DropoutOps for burn::backend::NdArray {
    fn fused_dropout(x: FloatTensor<Self>, key: DropoutKey) -> FloatTensor<Self> {
        counted_dropout::<Self>(x, key)
    }
}

/// Dropout by random numbers of the device: to send numbers from the host would take longer than
/// the layer.
pub(super) fn dropout<B: Backend>(x: FloatTensor<B>, key: DropoutKey) -> FloatTensor<B> {
    let factors = factors::<B>(&x, key);
    B::float_mul(x, factors)
}

/// 0 where a number is dropped, else one over the probability that it is kept.
pub(super) fn factors<B: Backend>(like: &FloatTensor<B>, key: DropoutKey) -> FloatTensor<B> {
    let (device, keep) = (like.device(), 1.0 - key.rate);
    if keep <= 0.0 {
        // All numbers are dropped: the inverse of a probability of 0 is not finite.
        return B::float_zeros(like.shape(), &device, like.dtype().into());
    }
    B::seed(&device, key.key);
    let distribution = Distribution::Bernoulli(keep);
    let kept = B::float_random(like.shape(), distribution, &device, like.dtype().into());
    B::float_div_scalar(kept, keep.into())
}

/// Dropout by the key's random numbers, which are the same on every CPU backend.
#[cfg(any(feature = "flex", feature = "ndarray"))]
pub(super) fn counted_dropout<B: Backend>(x: FloatTensor<B>, key: DropoutKey) -> FloatTensor<B> {
    let shape = x.shape();
    let factors: Vec<f32> =
        (0..shape.num_elements()).map(|index| key.factor(index as u64)).collect();
    let factors = B::float_from_data(TensorData::new(factors, shape), &x.device());
    let factors = B::float_cast(factors, x.dtype().into());
    B::float_mul(x, factors)
}
