//! Causal attention: of tokens to themselves, to a cache, and to a cache whose length is on the
//! device.

mod composed;
#[cfg(feature = "flex")]
mod cpu;
#[cfg(all(feature = "gpu", not(feature = "fusion")))]
pub(crate) mod gpu;
mod grad;
mod inputs;
#[cfg(all(test, feature = "flex"))]
mod oracle;
#[cfg(all(test, feature = "flex"))]
mod tests;

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Dispatch, backend_extension};
use burn::tensor::{Bool, Int, Tensor};

pub use self::inputs::{AttentionOptions, CachedKeys, Caches, Qkv};
use self::inputs::{CacheTensors, Padding, QkvTensors};
use crate::backends::composed_on;
use crate::op::dropout::DropoutOps;

/// Computes `softmax(scale Q K^T) V` in every head, where a token sees itself and those before it
/// ([Vaswani et al., 2017](https://arxiv.org/abs/1706.03762)).
///
/// Kernels keep no full matrix of scores: memory grows with the length, not with its square. A
/// query gets zeros if `padding_mask` hides all of its keys.
///
/// # Shapes
///
/// `[batch_size, sequence_length, hidden_dim]` for all three and the result; `padding_mask`, true
/// where a token may be seen: `[batch_size, sequence_length]`.
pub fn attention(
    qkv: Qkv,
    padding_mask: Option<Tensor<2, Bool>>,
    options: AttentionOptions,
) -> Tensor<3> {
    Tensor::from_dispatch(Dispatch::fused_attention(
        qkv_tensors(qkv),
        padding(padding_mask),
        options,
    ))
}

/// As [`attention`], to cached tokens and the new ones. Writes the new keys and values to the
/// caches first, in place if no other reference to them is held. Returns the output and the caches.
///
/// # Shapes
///
/// The output has the query's shape. Sequence `i` writes to row `i` of the caches. `padding_mask`:
/// `[batch_size, start + new]`.
pub fn cached_attention(
    qkv: Qkv,
    caches: Caches,
    padding_mask: Option<Tensor<2, Bool>>,
    cached: CachedKeys,
    options: AttentionOptions,
) -> (Tensor<3>, Caches) {
    let (qkv, caches) = (qkv_tensors(qkv), cache_tensors(caches));
    let padding = padding(padding_mask);
    let (output, caches) = Dispatch::fused_cached_attention(qkv, caches, padding, cached, options);
    let keys = Tensor::from_dispatch(caches.keys);
    let caches = Caches { keys, values: Tensor::from_dispatch(caches.values) };
    (Tensor::from_dispatch(output), caches)
}

/// As [`cached_attention`] for one new token a row, with the number of tokens in the cache, `[1]`,
/// on the device. Writes to the caches in place, so that clones of a cache see the same values.
///
/// # Panics
///
/// If the device [has no steps](crate::has_steps).
pub fn step_attention(
    qkv: Qkv,
    caches: &Caches,
    position: Tensor<1, Int>,
    options: AttentionOptions,
) -> Tensor<3> {
    let (qkv, caches) = (qkv_tensors(qkv), cache_tensors(caches.clone()));
    let output = Dispatch::fused_step_attention(qkv, caches, position.into_dispatch(), options);
    Tensor::from_dispatch(output.expect("the device has steps"))
}

fn qkv_tensors(qkv: Qkv) -> QkvTensors<Dispatch> {
    [qkv.query, qkv.key, qkv.value].map(Tensor::into_dispatch).into()
}

fn cache_tensors(caches: Caches) -> CacheTensors<Dispatch> {
    CacheTensors { keys: caches.keys.into_dispatch(), values: caches.values.into_dispatch() }
}

fn padding(mask: Option<Tensor<2, Bool>>) -> Padding<Dispatch> {
    mask.map_or(Padding::None, |mask| Padding::Keep(mask.into_dispatch()))
}

/// Attention on a backend.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(any(feature = "wgpu", feature = "cuda")),
    Autodiff
)]
pub trait AttentionOps: DropoutOps {
    /// Causal attention, `[batch_size, sequence_length, hidden_dim]`.
    fn fused_attention(
        #[extension_type] qkv: QkvTensors<Self>,
        #[extension_type] padding: Padding<Self>,
        options: AttentionOptions,
    ) -> FloatTensor<Self> {
        composed::attention::<Self>(qkv, padding, options)
    }

    /// Gradients by query, key and value.
    fn fused_attention_backward(
        #[extension_type] qkv: QkvTensors<Self>,
        gradient: FloatTensor<Self>,
        #[extension_type] padding: Padding<Self>,
        options: AttentionOptions,
    ) -> QkvTensors<Self> {
        composed::attention_backward::<Self>(qkv, gradient, padding, options)
    }

    /// Attention to caches, after the new keys and values are written to them. Returns the output
    /// and the caches.
    fn fused_cached_attention(
        #[extension_type] qkv: QkvTensors<Self>,
        #[extension_type] caches: CacheTensors<Self>,
        #[extension_type] padding: Padding<Self>,
        cached: CachedKeys,
        options: AttentionOptions,
    ) -> (FloatTensor<Self>, CacheTensors<Self>) {
        composed::cached_attention::<Self>(qkv, caches, padding, cached, options)
    }

    /// As [`fused_cached_attention`](Self::fused_cached_attention) for one token a row, with the
    /// number of tokens in the cache, `[1]`, on the device. Writes to the caches in place, even if
    /// other references to them are held. None without a kernel.
    fn fused_step_attention(
        #[extension_type] qkv: QkvTensors<Self>,
        #[extension_type] caches: CacheTensors<Self>,
        position: IntTensor<Self>,
        options: AttentionOptions,
    ) -> Option<FloatTensor<Self>> {
        let _ = (qkv, caches, position, options);
        None
    }
}

composed_on!(AttentionOps: NdArray, FusedCube);
