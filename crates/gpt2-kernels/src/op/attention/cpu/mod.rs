//! Attention on the CPU without a full matrix of scores: in blocks of queries, or query by query in
//! decoding, where the cache is read in place.

mod blocks;
mod heads;
mod inputs;
mod single;
mod softmax;

use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Flex, TensorMetadata};

use self::blocks::{attend_backward, attend_blocks};
use self::heads::Sequences;
use self::inputs::Inputs;
use self::single::attend_single;
use super::inputs::{AttentionOptions, CacheTensors, CachedKeys, Padding, QkvTensors};
use super::{AttentionOps, composed};
use crate::cpu::tensors::{has_kernel, in_order, slice, tensor};
use crate::cpu::threads::write_all;

/// Number of new tokens a sequence from which on blocks, with their matrix products, are faster.
const BLOCK_QUERIES: usize = 8;

impl AttentionOps for Flex {
    fn fused_attention(
        qkv: QkvTensors<Self>,
        padding: Padding<Self>,
        options: AttentionOptions,
    ) -> FloatTensor<Self> {
        if !has_kernel(&[&qkv.query, &qkv.key, &qkv.value]) {
            return composed::attention::<Self>(qkv, padding, options);
        }
        let (qkv, keep) = (qkv.map(in_order), keep_bytes(padding));
        tensor(attend(packed(&qkv, keep.as_deref(), options)), qkv.query.shape())
    }

    fn fused_attention_backward(
        qkv: QkvTensors<Self>,
        gradient: FloatTensor<Self>,
        padding: Padding<Self>,
        options: AttentionOptions,
    ) -> QkvTensors<Self> {
        if !has_kernel(&[&qkv.query, &qkv.key, &qkv.value, &gradient]) {
            return composed::attention_backward::<Self>(qkv, gradient, padding, options);
        }
        let (qkv, gradient) = (qkv.map(in_order), in_order(gradient));
        let keep = keep_bytes(padding);
        let gradients = attend_backward(packed(&qkv, keep.as_deref(), options), slice(&gradient));
        gradients.map(|values| tensor(values, qkv.query.shape())).into()
    }

    fn fused_cached_attention(
        qkv: QkvTensors<Self>,
        caches: CacheTensors<Self>,
        padding: Padding<Self>,
        cached: CachedKeys,
        options: AttentionOptions,
    ) -> (FloatTensor<Self>, CacheTensors<Self>) {
        let CacheTensors { keys, values } = &caches;
        if !has_kernel(&[&qkv.query, &qkv.key, &qkv.value, keys, values]) {
            return composed::cached_attention::<Self>(qkv, caches, padding, cached, options);
        }
        let (qkv, start) = (qkv.map(in_order), cached.start);
        let caches = CacheTensors::<Self> {
            keys: write_to_cache(in_order(caches.keys), &qkv.key, start),
            values: write_to_cache(in_order(caches.values), &qkv.value, start),
        };
        let [batch_size, queries, hidden_dim] = qkv.query.shape().dims();
        let [_, heads, max_length, width] = caches.keys.shape().dims();
        let keep = keep_bytes(padding);
        let rows = cached.rows.as_deref().map(|rows| (start, rows));
        let all = |cache| Sequences::cached(slice(cache), max_length, heads, width, rows);
        let inputs = Inputs {
            query: Sequences::packed(slice(&qkv.query), queries, heads, width),
            key: all(&caches.keys),
            value: all(&caches.values),
            keep: keep.as_deref(),
            batch_size,
            queries,
            keys: start + queries,
            options,
        };
        (tensor(attend(inputs), [batch_size, queries, hidden_dim]), caches)
    }
}

/// The output, `[batch_size, queries, num_heads * width]`.
fn attend(inputs: Inputs<'_>) -> Vec<f32> {
    let hidden = inputs.options.num_heads * inputs.width();
    write_all(inputs.batch_size * inputs.queries * hidden, |output| {
        if inputs.queries < BLOCK_QUERIES && inputs.options.dropout.is_none() {
            attend_single(inputs, output);
        } else {
            attend_blocks(inputs, output);
        }
    })
}

/// The inputs of an attention of tokens to themselves.
fn packed<'a>(
    qkv: &'a QkvTensors<Flex>,
    keep: Option<&'a [u8]>,
    options: AttentionOptions,
) -> Inputs<'a> {
    let [batch_size, queries, hidden_dim] = qkv.query.shape().dims();
    let keys = qkv.key.shape()[1];
    let (heads, width) = (options.num_heads, hidden_dim / options.num_heads);
    let all = |tensor, length| Sequences::packed(slice(tensor), length, heads, width);
    let (key, value) = (all(&qkv.key, keys), all(&qkv.value, keys));
    Inputs { query: all(&qkv.query, queries), key, value, keep, batch_size, queries, keys, options }
}

/// Writes `[batch_size, new, hidden_dim]` to a cache after its first `start` tokens, in place if
/// the cache has no other reference.
fn write_to_cache(mut cache: FlexTensor, new: &FlexTensor, start: usize) -> FlexTensor {
    let [_, heads, max_length, width] = cache.shape().dims();
    let [batch_size, length, _] = new.shape().dims();
    let values = slice(new);
    let target: &mut [f32] = cache.storage_mut();
    for (index, head) in values.chunks_exact(width).enumerate() {
        let (sequence, position) = (index / heads / length, index / heads % length);
        let row = sequence * heads + index % heads;
        target[(row * max_length + start + position) * width..][..width].copy_from_slice(head);
    }
    debug_assert!(values.len() == batch_size * length * heads * width);
    cache
}

/// Padding mask as bytes: 1 where a key may be seen.
fn keep_bytes(padding: Padding<Flex>) -> Option<Vec<u8>> {
    let Padding::Keep(keep) = padding else { return None };
    Some(keep.into_data().iter::<bool>().map(u8::from).collect())
}
