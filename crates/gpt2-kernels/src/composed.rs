//! The operations from burn's own: for every device and float type.

use burn::backend::tensor::{BoolTensor, FloatTensor};
use burn::backend::{Backend, DType, TensorMetadata, get_or_init_device_settings};
use burn::tensor::{Distribution, Shape, Slice, TensorData};

use crate::attention::{AttentionOptions, CachedKeys, DropoutKey, Padding};
use crate::kernels::Kernels;

/// `sqrt(2 / pi)`
const SQRT_2_OVER_PI: f64 = 0.797_884_560_802_865_4;
const CUBIC: f64 = 0.044_715;

pub(crate) fn linear<B: Backend>(
    x: FloatTensor<B>,
    kernel: FloatTensor<B>,
    bias: FloatTensor<B>,
) -> FloatTensor<B> {
    let outputs = kernel.shape()[1];
    let bias = B::float_reshape(bias, Shape::new([1, outputs]));
    B::float_add(B::float_matmul(x, kernel), bias)
}

pub(crate) fn linear_add<B: Backend>(
    x: FloatTensor<B>,
    kernel: FloatTensor<B>,
    bias: FloatTensor<B>,
    residual: FloatTensor<B>,
) -> FloatTensor<B> {
    B::float_add(residual, linear::<B>(x, kernel, bias))
}

pub(crate) fn reverse_embedding<B: Backend>(
    hidden: FloatTensor<B>,
    table: FloatTensor<B>,
) -> FloatTensor<B> {
    B::float_matmul(hidden, B::float_swap_dims(table, 0, 1))
}

pub(crate) fn layer_norm<B: Backend>(
    x: FloatTensor<B>,
    gamma: FloatTensor<B>,
    beta: FloatTensor<B>,
    epsilon: f64,
) -> FloatTensor<B> {
    let dtype = x.dtype();
    let [x, gamma, beta] = [x, gamma, beta].map(widen::<B>);
    cast::<B>(B::layer_norm(x, gamma, Some(beta), epsilon), dtype)
}

/// 16-bit floats as 32-bit ones.
fn widen<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    match x.dtype() {
        DType::F16 | DType::BF16 => B::float_cast(x, DType::F32.into()),
        _ => x,
    }
}

fn cast<B: Backend>(x: FloatTensor<B>, dtype: DType) -> FloatTensor<B> {
    if x.dtype() == dtype { x } else { B::float_cast(x, dtype.into()) }
}

/// `0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))`.
///
/// burn's own cubes with `powf`, a library call for each number; two products are exact to the
/// last bit or two and many times faster.
pub(crate) fn gelu<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let tanh = gelu_tanh::<B>(x.clone());
    let half = B::float_mul_scalar(B::float_add_scalar(tanh, 1.0.into()), 0.5.into());
    B::float_mul(x, half)
}

pub(crate) fn gelu_backward<B: Backend>(
    x: FloatTensor<B>,
    gradient: FloatTensor<B>,
) -> FloatTensor<B> {
    let tanh = gelu_tanh::<B>(x.clone());
    // Beyond 10 the slope of the tangent is zero, and a square would overflow 16-bit floats.
    let near = B::float_clamp(x, (-10.0).into(), 10.0.into());
    let square = B::float_mul(near.clone(), near.clone());
    let inner = B::float_add_scalar(B::float_mul_scalar(square, (3.0 * CUBIC).into()), 1.0.into());
    let tanh_slope = B::float_neg(B::float_mul(tanh.clone(), tanh.clone()));
    let tanh_slope = B::float_add_scalar(tanh_slope, 1.0.into());
    let slope = B::float_mul(B::float_mul(tanh_slope, near), inner);
    let slope = B::float_mul_scalar(slope, (0.5 * SQRT_2_OVER_PI).into());
    let half = B::float_mul_scalar(B::float_add_scalar(tanh, 1.0.into()), 0.5.into());
    B::float_mul(B::float_add(slope, half), gradient)
}

/// `tanh(sqrt(2 / pi) (x + 0.044715 x^3))`
fn gelu_tanh<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let square = B::float_mul(x.clone(), x.clone());
    let cubic = B::float_mul_scalar(B::float_mul(square, x.clone()), CUBIC.into());
    let inner = B::float_mul_scalar(B::float_add(x, cubic), SQRT_2_OVER_PI.into());
    B::float_tanh(inner)
}

pub(crate) fn layer_norm_backward<B: Backend>(
    x: FloatTensor<B>,
    gamma: FloatTensor<B>,
    gradient: FloatTensor<B>,
    epsilon: f64,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let (width, dtypes) = (x.shape()[1], [x.dtype(), gamma.dtype()]);
    let [x, gamma, gradient] = [x, gamma, gradient].map(widen::<B>);
    let centered = B::float_sub(x.clone(), B::float_mean_dim(x, 1));
    let square = B::float_mul(centered.clone(), centered.clone());
    let variance = B::float_mean_dim(square, 1);
    let deviation = B::float_sqrt(B::float_add_scalar(variance, epsilon.into()));
    let normalized = B::float_div(centered, deviation.clone());
    let gamma_gradient = B::float_sum_dim(B::float_mul(gradient.clone(), normalized.clone()), 0);
    let beta_gradient = B::float_sum_dim(gradient.clone(), 0);
    let scaled = B::float_mul(gradient, B::float_reshape(gamma, Shape::new([1, width])));
    let mean = B::float_mean_dim(scaled.clone(), 1);
    let along = B::float_mean_dim(B::float_mul(scaled.clone(), normalized.clone()), 1);
    let x_gradient = B::float_sub(B::float_sub(scaled, mean), B::float_mul(normalized, along));
    let row = Shape::new([width]);
    (
        cast::<B>(B::float_div(x_gradient, deviation), dtypes[0]),
        cast::<B>(B::float_reshape(gamma_gradient, row.clone()), dtypes[1]),
        cast::<B>(B::float_reshape(beta_gradient, row), dtypes[1]),
    )
}

/// Zero where a number is dropped, and the inverse of the probability to be kept elsewhere.
///
/// The device's own random numbers: to send others over would take longer than the layer does.
pub(crate) fn dropout_factors<B: Backend>(
    like: &FloatTensor<B>,
    dropout: DropoutKey,
) -> FloatTensor<B> {
    let (device, keep) = (like.device(), 1.0 - dropout.rate);
    if keep <= 0.0 {
        // There is no expected value to keep.
        return B::float_zeros(like.shape(), &device, like.dtype().into());
    }
    B::seed(&device, dropout.key);
    let distribution = Distribution::Bernoulli(keep);
    let kept = B::float_random(like.shape(), distribution, &device, like.dtype().into());
    B::float_div_scalar(kept, keep.into())
}

/// Dropout by the numbers of a key, the same ones on every CPU backend.
#[cfg(any(feature = "flex", feature = "ndarray"))]
pub(crate) fn counted_dropout<B: Backend>(
    x: FloatTensor<B>,
    dropout: DropoutKey,
) -> FloatTensor<B> {
    let shape = x.shape();
    let factors: Vec<f32> =
        (0..shape.num_elements()).map(|index| dropout.factor(index as u64)).collect();
    let factors = B::float_from_data(TensorData::new(factors, shape), &x.device());
    let factors = B::float_cast(factors, x.dtype().into());
    B::float_mul(x, factors)
}

pub(crate) fn attention<B: Kernels>(
    query: FloatTensor<B>,
    key: FloatTensor<B>,
    value: FloatTensor<B>,
    padding: Padding<B>,
    options: AttentionOptions,
) -> FloatTensor<B> {
    let [key, value] = [key, value].map(|x| split_heads::<B>(x, options.num_heads));
    attend::<B>(query, key, value, padding, options)
}

/// Attention of `[batch_size, sequence_length, hidden_dim]` to keys and values that are split into
/// heads.
fn attend<B: Kernels>(
    query: FloatTensor<B>,
    key: FloatTensor<B>,
    value: FloatTensor<B>,
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

pub(crate) fn attention_backward<B: Kernels>(
    query: FloatTensor<B>,
    key: FloatTensor<B>,
    value: FloatTensor<B>,
    gradient: FloatTensor<B>,
    padding: Padding<B>,
    options: AttentionOptions,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
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
    (
        join_heads::<B>(query_gradient),
        join_heads::<B>(key_gradient),
        join_heads::<B>(value_gradient),
    )
}

#[allow(clippy::too_many_arguments, reason = "three inputs, two caches, and how")]
pub(crate) fn cached_attention<B: Kernels>(
    query: FloatTensor<B>,
    key: FloatTensor<B>,
    value: FloatTensor<B>,
    key_cache: FloatTensor<B>,
    value_cache: FloatTensor<B>,
    padding: Padding<B>,
    cached: CachedKeys,
    options: AttentionOptions,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let write = |cache, new| {
        let new = split_heads::<B>(new, options.num_heads);
        let [rows, _, length, _] = new.shape().dims();
        let at = [0..rows, 0..options.num_heads, cached.start..cached.start + length];
        let at = at.map(Slice::from);
        B::float_slice_assign(cache, &at, new)
    };
    let (key_cache, value_cache) = (write(key_cache, key), write(value_cache, value));
    let end = cached.start + query.shape()[1];
    let batch_size = query.shape()[0];
    let read = |cache: &FloatTensor<B>| cached_rows::<B>(cache.clone(), &cached, batch_size, end);
    let (key, value) = (read(&key_cache), read(&value_cache));
    (attend::<B>(query, key, value, padding, options), key_cache, value_cache)
}

/// The first `end` tokens of every sequence, `[batch_size, num_heads, end, head_dim]`.
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
    // Every head of every token is a row of a table.
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

/// The softmax of the scores, `[batch_size, num_heads, queries, keys]`, where the queries are the
/// last of the keys' positions. A query that sees no key gets zeros, as by Keras' masked softmax:
/// neither NaN nor a uniform distribution.
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

/// True where a score is hidden, in burn's polarity; none where none is.
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

/// The other way.
fn join_heads<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let [batch_size, num_heads, length, width] = x.shape().dims();
    let shape = Shape::new([batch_size, length, num_heads * width]);
    B::float_reshape(B::float_swap_dims(x, 1, 2), shape)
}
