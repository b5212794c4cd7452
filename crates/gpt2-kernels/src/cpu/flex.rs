//! From burn's tensors to slices and back.

use burn::backend::flex::FlexTensor;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{DType, Flex, TensorMetadata};
use burn::tensor::TensorData;

use super::attention::{Inputs, Sequences, attend, attend_backward};
use super::linear::{Epilogue, linear};
use super::narrow_product::MAX_ROWS;
use super::threads::write_all;
use super::{gelu, layer_norm, narrow_dots, training};
use crate::adam::{AdamStep, Moments};
use crate::attention::{AttentionOptions, CachedKeys, DropoutKey, Padding};
use crate::composed;
use crate::cross_entropy::CrossEntropy;
use crate::kernels::Kernels;
use crate::setting::setting;

/// Whether all of these are 32-bit floats, for which the kernels are.
pub(super) fn has_kernel(tensors: &[&FlexTensor]) -> bool {
    setting() != Some("composed") && tensors.iter().all(|tensor| tensor.dtype() == DType::F32)
}

/// The tensor itself if its numbers lie in order, or a copy that does.
pub(super) fn in_order(tensor: FlexTensor) -> FlexTensor {
    if tensor.is_contiguous() { tensor } else { tensor.to_contiguous() }
}

/// The numbers of a tensor that is in order.
pub(super) fn slice(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().expect("the numbers are in order")
}

/// A tensor of these numbers.
pub(super) fn tensor(values: Vec<f32>, shape: impl Into<burn::tensor::Shape>) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}

/// A tensor whose storage holds its numbers in order and nothing else.
pub(super) fn whole(tensor: FlexTensor) -> FlexTensor {
    let numbers = tensor.shape().num_elements();
    let is_whole = tensor.is_contiguous() && tensor.storage::<f32>().len() == numbers;
    if is_whole { tensor } else { FlexTensor::from_data(tensor.into_data()) }
}

fn linear_with(
    x: FlexTensor,
    kernel: FlexTensor,
    bias: FlexTensor,
    epilogue: Epilogue<'_>,
) -> FlexTensor {
    let [x, kernel, bias] = [x, kernel, bias].map(in_order);
    let (rows, outputs) = (x.shape()[0], bias.shape()[0]);
    let values = linear(slice(&x), slice(&kernel), slice(&bias), rows, epilogue);
    tensor(values, [rows, outputs])
}

impl Kernels for Flex {
    fn fused_linear(
        x: FloatTensor<Self>,
        kernel: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        if !has_kernel(&[&x, &kernel, &bias]) {
            return composed::linear::<Self>(x, kernel, bias);
        }
        linear_with(x, kernel, bias, Epilogue::None)
    }

    fn fused_linear_gelu(
        x: FloatTensor<Self>,
        kernel: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        if !has_kernel(&[&x, &kernel, &bias]) {
            return composed::gelu::<Self>(composed::linear::<Self>(x, kernel, bias));
        }
        linear_with(x, kernel, bias, Epilogue::Gelu)
    }

    fn fused_linear_add(
        x: FloatTensor<Self>,
        kernel: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        residual: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        if !has_kernel(&[&x, &kernel, &bias, &residual]) {
            return composed::linear_add::<Self>(x, kernel, bias, residual);
        }
        let residual = in_order(residual);
        linear_with(x, kernel, bias, Epilogue::Add(slice(&residual)))
    }

    fn fused_reverse_embedding(
        hidden: FloatTensor<Self>,
        table: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let [rows, inputs] = hidden.shape().dims();
        if !has_kernel(&[&hidden, &table]) || rows > MAX_ROWS {
            return composed::reverse_embedding::<Self>(hidden, table);
        }
        let [hidden, table] = [hidden, table].map(in_order);
        let outputs = table.shape()[0];
        let output = write_all(rows * outputs, |output| {
            narrow_dots::narrow_dots(slice(&hidden), slice(&table), inputs, output);
        });
        tensor(output, [rows, outputs])
    }

    fn fused_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        if !has_kernel(&[&x]) {
            return composed::gelu::<Self>(x);
        }
        let mut x = whole(x);
        gelu::gelu(x.storage_mut());
        x
    }

    fn fused_layer_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        if !has_kernel(&[&x, &gamma, &beta]) {
            return composed::layer_norm::<Self>(x, gamma, beta, epsilon);
        }
        let [x, gamma, beta] = [x, gamma, beta].map(in_order);
        let values = slice(&x);
        let (gamma, beta) = (slice(&gamma), slice(&beta));
        let output = write_all(values.len(), |output| {
            layer_norm::layer_norm(values, gamma, beta, epsilon as f32, output);
        });
        tensor(output, x.shape())
    }

    fn fused_dropout(x: FloatTensor<Self>, dropout: DropoutKey) -> FloatTensor<Self> {
        training::dropout(x, dropout)
    }

    fn fused_attention(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        padding: Padding<Self>,
        options: AttentionOptions,
    ) -> FloatTensor<Self> {
        if !has_kernel(&[&query, &key, &value]) {
            return composed::attention::<Self>(query, key, value, padding, options);
        }
        let shape = query.shape();
        let [query, key, value] = [query, key, value].map(in_order);
        let keep = keep_bytes(padding);
        tensor(attend(packed(&query, &key, &value, keep.as_deref(), options)), shape)
    }

    fn fused_attention_backward(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        padding: Padding<Self>,
        options: AttentionOptions,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        if !has_kernel(&[&query, &key, &value, &gradient]) {
            return composed::attention_backward::<Self>(
                query, key, value, gradient, padding, options,
            );
        }
        let shape = query.shape();
        let [query, key, value, gradient] = [query, key, value, gradient].map(in_order);
        let keep = keep_bytes(padding);
        let inputs = packed(&query, &key, &value, keep.as_deref(), options);
        let [query, key, value] =
            attend_backward(inputs, slice(&gradient)).map(|values| tensor(values, shape.clone()));
        (query, key, value)
    }

    fn fused_cached_attention(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        key_cache: FloatTensor<Self>,
        value_cache: FloatTensor<Self>,
        padding: Padding<Self>,
        cached: CachedKeys,
        options: AttentionOptions,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        if !has_kernel(&[&query, &key, &value, &key_cache, &value_cache]) {
            return composed::cached_attention::<Self>(
                query,
                key,
                value,
                key_cache,
                value_cache,
                padding,
                cached,
                options,
            );
        }
        let [query, key, value] = [query, key, value].map(in_order);
        let key_cache = write_to_cache(in_order(key_cache), &key, cached.start);
        let value_cache = write_to_cache(in_order(value_cache), &value, cached.start);
        let [batch_size, queries, hidden_dim] = query.shape().dims();
        let [_, heads, max_length, width] = key_cache.shape().dims();
        let keep = keep_bytes(padding);
        let rows = cached.rows.as_deref().map(|rows| (cached.start, rows));
        let all = |cache| Sequences::cached(slice(cache), max_length, heads, width, rows);
        let inputs = Inputs {
            query: Sequences::packed(slice(&query), queries, heads, width),
            key: all(&key_cache),
            value: all(&value_cache),
            keep: keep.as_deref(),
            batch_size,
            queries,
            keys: cached.start + queries,
            options,
        };
        let output = tensor(attend(inputs), [batch_size, queries, hidden_dim]);
        (output, key_cache, value_cache)
    }

    fn fused_gelu_backward(x: FloatTensor<Self>, gradient: FloatTensor<Self>) -> FloatTensor<Self> {
        training::gelu_backward(x, gradient)
    }

    fn fused_layer_norm_backward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        training::layer_norm_backward(x, gamma, gradient, epsilon)
    }

    fn fused_cross_entropy(
        hidden: FloatTensor<Self>,
        table: FloatTensor<Self>,
        request: CrossEntropy,
    ) -> (FloatTensor<Self>, IntTensor<Self>, Option<FloatTensor<Self>>, Option<FloatTensor<Self>>)
    {
        training::cross_entropy(hidden, table, request)
    }

    fn fused_adam(
        variable: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        moments: Moments<Self>,
        step: AdamStep,
    ) -> (FloatTensor<Self>, Vec<FloatTensor<Self>>) {
        training::adam(variable, gradient, moments.into_slots(), step)
    }

    fn fused_square_sum(x: FloatTensor<Self>) -> FloatTensor<Self> {
        training::square_sum(x)
    }

    fn fused_scale(x: FloatTensor<Self>, factor: FloatTensor<Self>) -> FloatTensor<Self> {
        training::scale(x, factor)
    }

    fn fused_weight_decay(
        x: FloatTensor<Self>,
        share: f64,
        learning_rate: f32,
    ) -> FloatTensor<Self> {
        training::weight_decay(x, share, learning_rate)
    }
}

/// What an attention to the tokens themselves reads.
fn packed<'a>(
    query: &'a FlexTensor,
    key: &'a FlexTensor,
    value: &'a FlexTensor,
    keep: Option<&'a [u8]>,
    options: AttentionOptions,
) -> Inputs<'a> {
    let [batch_size, queries, hidden_dim] = query.shape().dims();
    let keys = key.shape()[1];
    let (heads, width) = (options.num_heads, hidden_dim / options.num_heads);
    let all = |tensor, length| Sequences::packed(slice(tensor), length, heads, width);
    let (key, value) = (all(key, keys), all(value, keys));
    Inputs { query: all(query, queries), key, value, keep, batch_size, queries, keys, options }
}

/// Writes `[batch_size, new, hidden_dim]` to a cache behind the first `start` tokens, in place if
/// nothing else refers to it.
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

/// 1 where a key may be seen.
fn keep_bytes(padding: Padding<Flex>) -> Option<Vec<u8>> {
    let Padding::Keep(keep) = padding else { return None };
    Some(keep.into_data().iter::<bool>().map(u8::from).collect())
}
