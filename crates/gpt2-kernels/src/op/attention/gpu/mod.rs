//! Attention on a GPU without a matrix of scores: a cube takes a tile of a head's queries and goes
//! through their keys, block by block ([Dao et al., 2022](https://arxiv.org/abs/2205.14135)).

#![allow(clippy::collapsible_if, reason = "a condition of the kernel's compilation stands alone")]

mod backward;
mod forward;
mod side_gradient;
mod softmax;
mod statistics;
mod tile;
mod variant;

use burn::backend::ops::IntTensorOps;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{BoolStore, DType, TensorMetadata};
use burn::tensor::TensorData;
use burn_cubecl::CubeBackend;
use burn_cubecl::tensor::CubeTensor;

use self::backward::attention_backward;
use self::forward::{attention, cached_attention};
use self::variant::{Cache, Variant, variant};
use super::inputs::{AttentionOptions, CacheTensors, CachedKeys, Padding, QkvTensors};
use super::{AttentionOps, composed};
use crate::gpu::launch::owned;
use crate::gpu::tensors::{has_kernel, max_buffers};

impl AttentionOps for CubeBackend {
    fn fused_attention(
        qkv: QkvTensors<Self>,
        padding: Padding<Self>,
        options: AttentionOptions,
    ) -> FloatTensor<Self> {
        match variant_of(&qkv, &padding, &options, Cache::None) {
            Some(variant) => attention(qkv, mask(padding), options, variant),
            None => composed::attention::<Self>(qkv, padding, options),
        }
    }

    fn fused_attention_backward(
        qkv: QkvTensors<Self>,
        gradient: FloatTensor<Self>,
        padding: Padding<Self>,
        options: AttentionOptions,
    ) -> QkvTensors<Self> {
        let variant = variant_of(&qkv, &padding, &options, Cache::None)
            .filter(|_| has_kernel(&[&qkv.query, &gradient]))
            .filter(|_| max_buffers(&gradient) >= side_gradient::BUFFERS);
        match variant {
            Some(variant) => attention_backward(qkv, gradient, mask(padding), options, variant),
            None => composed::attention_backward::<Self>(qkv, gradient, padding, options),
        }
    }

    fn fused_cached_attention(
        qkv: QkvTensors<Self>,
        caches: CacheTensors<Self>,
        padding: Padding<Self>,
        cached: CachedKeys,
        options: AttentionOptions,
    ) -> (FloatTensor<Self>, CacheTensors<Self>) {
        let cache = if cached.rows.is_some() { Cache::Table } else { Cache::Straight };
        let variant = variant_of(&qkv, &padding, &options, cache)
            .filter(|_| has_kernel(&[&qkv.query, &caches.keys, &caches.values]));
        let Some(variant) = variant else {
            return composed::cached_attention::<Self>(qkv, caches, padding, cached, options);
        };
        let extra = match &cached.rows {
            Some(rows) => Some(table(rows, &qkv.query)),
            None => mask(padding),
        };
        let caches = CacheTensors { keys: owned(caches.keys), values: owned(caches.values) };
        let output = cached_attention(qkv, &caches, extra, cached.start, options, variant);
        (output, caches)
    }

    fn fused_step_attention(
        qkv: QkvTensors<Self>,
        caches: CacheTensors<Self>,
        position: IntTensor<Self>,
        options: AttentionOptions,
    ) -> Option<FloatTensor<Self>> {
        let variant = variant_of(&qkv, &Padding::None, &options, Cache::Counted)?;
        has_kernel(&[&qkv.query, &caches.keys, &caches.values])
            .then(|| cached_attention(qkv, &caches, Some(position), 0, options, variant))
    }
}

/// Whether [`fused_step_attention`](AttentionOps::fused_step_attention) has a kernel for heads of
/// this size.
pub(crate) fn has_step_attention(head_dim: usize) -> bool {
    variant(head_dim, 1, false, false, Cache::Counted).is_some()
}

/// Variant of the kernel for these inputs, if there is one.
fn variant_of(
    qkv: &QkvTensors<CubeBackend>,
    padding: &Padding<CubeBackend>,
    options: &AttentionOptions,
    cache: Cache,
) -> Option<Variant> {
    let masked = match padding {
        Padding::None => false,
        Padding::Keep(keep) if keep.dtype == DType::Bool(BoolStore::Native) => return None,
        // The table of cache rows is bound in the mask's place.
        Padding::Keep(_) if cache == Cache::Table => return None,
        Padding::Keep(_) => true,
    };
    if !has_kernel(&[&qkv.query, &qkv.key, &qkv.value]) {
        return None;
    }
    let [_, queries, hidden_dim] = qkv.query.shape().dims();
    let dropped = options.dropout.is_some();
    variant(hidden_dim / options.num_heads, queries, masked, dropped, cache)
}

fn mask(padding: Padding<CubeBackend>) -> Option<CubeTensor> {
    match padding {
        Padding::None => None,
        Padding::Keep(keep) => Some(keep),
    }
}

/// The table of cache rows on the device, `[batch_size * room]`.
fn table(rows: &[u32], like: &CubeTensor) -> CubeTensor {
    let data = TensorData::new(rows.to_vec(), [rows.len()]);
    CubeBackend::int_from_data(data, &like.device)
}
