//! Attention from burn's own operations: for every device and float type.

use burn::backend::tensor::{BoolTensor, FloatTensor};
use burn::backend::{Backend, DType, TensorMetadata, get_or_init_device_settings};
use burn::tensor::{Shape, Slice, TensorData};

use super::inputs::{AttentionOptions, CacheTensors, CachedKeys, Padding, QkvTensors};
use crate::op::dropout::DropoutOps;

pub(super) fn attention<B: DropoutOps>(
    qkv: QkvTensors<B>,
    padding: Padding<B>,
    options: AttentionOptions,
) -> FloatTensor<B> {
    let [key, value] = [qkv.key, qkv.value].map(|x| split_heads::<B>(x, options.num_heads));
    attend::<B>(QkvTensors { key, value, ..qkv }, padding, options)
}

/// Attention of a query, `[batch_size, sequence_length, hidden_dim]`, to keys and values that are
/// already split into heads.
fn attend<B: DropoutOps>(
    QkvTensors { query, key, value }: QkvTensors<B>,
    padding: Padding<B>,
    options: AttentionOptions,
) -> FloatTensor<B> {
    let probabilities = probabilities::<B>(query, key, padding, options);
    let dropped = match options.dropout {
        Some(key) => B::fused_dropout(probabilities, key),
        None => probabilities,
    };
    join_heads::<B>(B::float_matmul(dropped, value))
}

pub(super) fn attention_backward<B: DropoutOps>(
    QkvTensors { query, key, value }: QkvTensors<B>,
    gradient: FloatTensor<B>,
    padding: Padding<B>,
    options: AttentionOptions,
) -> QkvTensors<B> {
    let transpose = |x| B::float_swap_dims(x, 2, 3);
    let split = |x| split_heads::<B>(x, options.num_heads);
    let probabilities = probabilities::<B>(query.clone(), split(key.clone()), padding, options);
    let drop = |x| match options.dropout {
        Some(key) => B::fused_dropout(x, key),
        None => x,
    };
    let gradient = split(gradient);
    let dropped = drop(probabilities.clone());
    let value_gradient = B::float_matmul(transpose(dropped), gradient.clone());
    let slope = drop(B::float_matmul(gradient, transpose(split(value))));
    let slope = B::float_mul(slope, probabilities.clone());
    let mean = B::float_mul(probabilities, B::float_sum_dim(slope.clone(), 3));
    let score_gradient = B::float_mul_scalar(B::float_sub(slope, mean), options.scale.into());
    let query_gradient = B::float_matmul(score_gradient.clone(), split(key));
    let key_gradient = B::float_matmul(transpose(score_gradient), split(query));
    [query_gradient, key_gradient, value_gradient].map(join_heads::<B>).into()
}

pub(super) fn cached_attention<B: DropoutOps>(
    QkvTensors { query, key, value }: QkvTensors<B>,
    caches: CacheTensors<B>,
    padding: Padding<B>,
    cached: CachedKeys,
    options: AttentionOptions,
) -> (FloatTensor<B>, CacheTensors<B>) {
    let write = |cache, new| {
        let new = split_heads::<B>(new, options.num_heads);
        let [rows, _, length, _] = new.shape().dims();
        let at = [0..rows, 0..options.num_heads, cached.start..cached.start + length];
        let at = at.map(Slice::from);
        B::float_slice_assign(cache, &at, new)
    };
    let caches =
        CacheTensors { keys: write(caches.keys, key), values: write(caches.values, value) };
    let end = cached.start + query.shape()[1];
    let batch_size = query.shape()[0];
    let read = |cache: &FloatTensor<B>| cached_rows::<B>(cache.clone(), &cached, batch_size, end);
    let qkv = QkvTensors { query, key: read(&caches.keys), value: read(&caches.values) };
    (attend::<B>(qkv, padding, options), caches)
}

/// The first `end` tokens of every sequence: `[batch_size, num_heads, end, head_dim]`.
fn cached_rows<B: Backend>(
    cache: FloatTensor<B>,
    cached: &CachedKeys,
    batch_size: usize,
    end: usize,
) -> FloatTensor<B> {
    let [_, heads, max_length, width] = cache.shape().dims();
    let Some(rows) = &cached.rows else {
        let at = [0..batch_size, 0..heads, 0..end].map(Slice::from);
        return B::float_slice(cache, &at);
    };
    let device = cache.device();
    let row_of = |sequence: usize, token: usize| match token < cached.start {
        true => rows[sequence * max_length + token] as usize,
        false => sequence,
    };
    // Each head of each token is a row of a table.
    let places: Vec<i32> = (0..batch_size * heads * end)
        .map(|index| {
            let (sequence, head, token) = (index / end / heads, index / end % heads, index % end);
            ((row_of(sequence, token) * heads + head) * max_length + token) as i32
        })
        .collect();
    let count = places.len();
    let places = B::int_from_data(TensorData::new(places, [count]), &device);
    let table_rows = cache.shape().num_elements() / width;
    let table = B::float_reshape(cache, Shape::new([table_rows, width]));
    let selected = B::float_select(table, 0, places);
    B::float_reshape(selected, Shape::new([batch_size, heads, end, width]))
}

/// Softmax of the scores, `[batch_size, num_heads, queries, keys]`, where the queries have the last
/// of the keys' positions. A query that sees no key gets zeros, as in Keras' masked softmax:
/// neither NaNs nor a uniform distribution.
fn probabilities<B: Backend>(
    query: FloatTensor<B>,
    key: FloatTensor<B>,
    padding: Padding<B>,
    options: AttentionOptions,
) -> FloatTensor<B> {
    // Keras scales the queries, not the scores.
    let query =
        split_heads::<B>(B::float_mul_scalar(query, options.scale.into()), options.num_heads);
    let scores = B::float_matmul(query, B::float_swap_dims(key, 2, 3));
    let shape = scores.shape();
    let has_padding = matches!(padding, Padding::Keep(_));
    let Some(hidden) = hidden::<B>(&scores, padding) else {
        return B::softmax(scores, 3);
    };
    let hidden = B::bool_expand(hidden, shape);
    // Keras' mask values: finite, so that no row becomes NaN.
    let lowest = if scores.dtype() == DType::F16 { -3e4 } else { -1e9 };
    let weights = B::softmax(B::float_mask_fill(scores, hidden.clone(), lowest.into()), 3);
    if has_padding { B::float_mask_fill(weights, hidden, 0.0.into()) } else { weights }
}

/// Mask of the hidden scores, true where hidden, as burn has it. None if no score is hidden.
fn hidden<B: Backend>(scores: &FloatTensor<B>, padding: Padding<B>) -> Option<BoolTensor<B>> {
    let [batch_size, _, queries, keys] = scores.shape().dims();
    let device = scores.device();
    let settings = get_or_init_device_settings::<B>(&device);
    let range = |from: usize| B::int_arange(from as i64..keys as i64, &device, settings.int_dtype);
    // A single query is the last position and sees all keys.
    let future = (queries > 1).then(|| {
        let shape = Shape::new([1, 1, queries, keys]);
        let query = B::int_reshape(range(keys - queries), Shape::new([1, 1, queries, 1]));
        let key = B::int_reshape(range(0), Shape::new([1, 1, 1, keys]));
        let (query, key) = (B::int_expand(query, shape.clone()), B::int_expand(key, shape));
        B::int_greater(key, query, settings.bool_dtype)
    });
    let Padding::Keep(keep) = padding else { return future };
    let shape = Shape::new([batch_size, 1, queries, keys]);
    let padded = B::bool_reshape(B::bool_not(keep), Shape::new([batch_size, 1, 1, keys]));
    let padded = B::bool_expand(padded, shape.clone());
    Some(match future {
        Some(future) => B::bool_or(B::bool_expand(future, shape), padded),
        None => padded,
    })
}

/// `[batch_size, sequence_length, hidden_dim] -> [batch_size, num_heads, sequence_length, head_dim]`
fn split_heads<B: Backend>(x: FloatTensor<B>, num_heads: usize) -> FloatTensor<B> {
    let [batch_size, length, hidden_dim] = x.shape().dims();
    let shape = Shape::new([batch_size, length, num_heads, hidden_dim / num_heads]);
    B::float_swap_dims(B::float_reshape(x, shape), 1, 2)
}

/// The inverse of [`split_heads`].
fn join_heads<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let [batch_size, num_heads, length, width] = x.shape().dims();
    let shape = Shape::new([batch_size, length, num_heads * width]);
    B::float_reshape(B::float_swap_dims(x, 1, 2), shape)
}
