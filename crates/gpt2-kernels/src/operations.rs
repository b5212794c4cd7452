//! The operations on burn's tensors.

use burn::backend::Dispatch;
use burn::tensor::{Bool, Device, Int, Tensor};

use crate::adam::{AdamStep, Moments};
use crate::attention::{AttentionOptions, CachedKeys, DropoutKey, Padding};
use crate::cross_entropy::CrossEntropy;
use crate::kernels::Kernels;
use crate::token_choice::TokenChoice;

/// `x W + b`.
///
/// # Shapes
///
/// `[rows, inputs], [inputs, outputs], [outputs] -> [rows, outputs]`
pub fn linear(x: Tensor<2>, kernel: Tensor<2>, bias: Tensor<1>) -> Tensor<2> {
    let (x, kernel, bias) = (x.into_dispatch(), kernel.into_dispatch(), bias.into_dispatch());
    Tensor::from_dispatch(Dispatch::fused_linear(x, kernel, bias))
}

/// [`linear`] of the same rows with three matrices of the same size: one launch on a GPU.
///
/// # Shapes
///
/// `[rows, inputs], 3 [inputs, outputs], 3 [outputs] -> 3 [rows, outputs]`
pub fn projections(
    x: Tensor<2>,
    kernels: [Tensor<2>; 3],
    biases: [Tensor<1>; 3],
) -> [Tensor<2>; 3] {
    let x = x.into_dispatch();
    let [kernel_0, kernel_1, kernel_2] = kernels.map(Tensor::into_dispatch);
    let [bias_0, bias_1, bias_2] = biases.map(Tensor::into_dispatch);
    let (first, second, third) =
        Dispatch::fused_projections(x, kernel_0, kernel_1, kernel_2, bias_0, bias_1, bias_2);
    [first, second, third].map(Tensor::from_dispatch)
}

/// `gelu(x W + b)`; shapes as [`linear`].
pub fn linear_gelu(x: Tensor<2>, kernel: Tensor<2>, bias: Tensor<1>) -> Tensor<2> {
    let (x, kernel, bias) = (x.into_dispatch(), kernel.into_dispatch(), bias.into_dispatch());
    Tensor::from_dispatch(Dispatch::fused_linear_gelu(x, kernel, bias))
}

/// `residual + x W + b`; shapes as [`linear`], and `residual` as the result.
pub fn linear_add(
    x: Tensor<2>,
    kernel: Tensor<2>,
    bias: Tensor<1>,
    residual: Tensor<2>,
) -> Tensor<2> {
    let (x, kernel, bias) = (x.into_dispatch(), kernel.into_dispatch(), bias.into_dispatch());
    let residual = residual.into_dispatch();
    Tensor::from_dispatch(Dispatch::fused_linear_add(x, kernel, bias, residual))
}

/// The logits of hidden states by a table of token vectors: `hidden @ table^T`.
///
/// # Shapes
///
/// `[rows, hidden_dim], [vocabulary_size, hidden_dim] -> [rows, vocabulary_size]`
pub fn reverse_embedding(hidden: Tensor<2>, table: Tensor<2>) -> Tensor<2> {
    let (hidden, table) = (hidden.into_dispatch(), table.into_dispatch());
    Tensor::from_dispatch(Dispatch::fused_reverse_embedding(hidden, table))
}

/// GPT-2's GELU, `0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))`
/// ([Hendrycks and Gimpel, 2016](https://arxiv.org/abs/1606.08415)), of every number.
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::fused_gelu(x.into_dispatch()))
}

/// `(x - mean) / sqrt(variance + epsilon) * gamma + beta` over the last axis, with the biased
/// variance ([Ba et al., 2016](https://arxiv.org/abs/1607.06450)). Computed in 32-bit floats also
/// where `x` or the parameters have 16 bits; the result has the type of `x`.
///
/// # Shapes
///
/// `[rows, hidden_dim], [hidden_dim], [hidden_dim] -> [rows, hidden_dim]`
pub fn layer_norm(x: Tensor<2>, gamma: Tensor<1>, beta: Tensor<1>, epsilon: f64) -> Tensor<2> {
    let (x, gamma, beta) = (x.into_dispatch(), gamma.into_dispatch(), beta.into_dispatch());
    Tensor::from_dispatch(Dispatch::fused_layer_norm(x, gamma, beta, epsilon))
}

/// Sets numbers to zero, the same ones for the same key, and divides the others by the probability
/// that they are kept ([Srivastava et al., 2014](https://jmlr.org/papers/v15/srivastava14a.html)).
pub fn dropout<const D: usize>(x: Tensor<D>, dropout: DropoutKey) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::fused_dropout(x.into_dispatch(), dropout))
}

/// `softmax(scale Q K^T) V` in every head, where a token sees itself and those before it
/// ([Vaswani et al., 2017](https://arxiv.org/abs/1706.03762)).
///
/// No scores of all tokens are kept: memory grows with the length, not with its square. A query
/// that sees no key, because `padding_mask` hides all, gets zeros.
///
/// # Shapes
///
/// `[batch_size, sequence_length, hidden_dim]` for all three and the result; `padding_mask`, true
/// where a token may be seen: `[batch_size, sequence_length]`.
pub fn attention(
    query: Tensor<3>,
    key: Tensor<3>,
    value: Tensor<3>,
    padding_mask: Option<Tensor<2, Bool>>,
    options: AttentionOptions,
) -> Tensor<3> {
    let (query, key, value) = (query.into_dispatch(), key.into_dispatch(), value.into_dispatch());
    let padding = padding(padding_mask);
    Tensor::from_dispatch(Dispatch::fused_attention(query, key, value, padding, options))
}

/// [`attention`] to what the caches hold and to the new tokens, whose keys and values are written
/// to the caches first: in place, if no other reference to them is held.
///
/// # Shapes
///
/// `[batch_size, new, hidden_dim]` for query, key, value and result; caches: `[rows, num_heads,
/// max_length, head_dim]`, of which sequence `i` writes to row `i`; `padding_mask`:
/// `[batch_size, start + new]`.
#[allow(clippy::too_many_arguments, reason = "three inputs, two caches, and how")]
pub fn cached_attention(
    query: Tensor<3>,
    key: Tensor<3>,
    value: Tensor<3>,
    key_cache: Tensor<4>,
    value_cache: Tensor<4>,
    padding_mask: Option<Tensor<2, Bool>>,
    cached: CachedKeys,
    options: AttentionOptions,
) -> (Tensor<3>, Tensor<4>, Tensor<4>) {
    let (query, key, value) = (query.into_dispatch(), key.into_dispatch(), value.into_dispatch());
    let (key_cache, value_cache) = (key_cache.into_dispatch(), value_cache.into_dispatch());
    let padding = padding(padding_mask);
    let (output, key_cache, value_cache) = Dispatch::fused_cached_attention(
        query,
        key,
        value,
        key_cache,
        value_cache,
        padding,
        cached,
        options,
    );
    (
        Tensor::from_dispatch(output),
        Tensor::from_dispatch(key_cache),
        Tensor::from_dispatch(value_cache),
    )
}

/// What [`cross_entropy`] found out.
#[derive(Debug, Clone)]
pub struct CrossEntropyOutput {
    /// The cross-entropy of each row.
    pub losses: Tensor<1>,
    /// The most probable token of each row; of equal ones the first.
    pub best: Tensor<1, Int>,
    /// The gradient by the hidden states, if it was asked for.
    pub hidden_gradient: Option<Tensor<2>>,
    /// The gradient by the table, if it was asked for.
    pub table_gradient: Option<Tensor<2>>,
}

/// The cross-entropy of the output layer on hidden states, and its gradients.
///
/// Logits exist for some rows at a time: `[rows, vocabulary_size]` is the largest array of a
/// training. Not differentiable: the gradients are results.
///
/// # Shapes
///
/// `hidden`: `[rows, hidden_dim]`; `table`: `[vocabulary_size, hidden_dim]` if it is tied, else
/// `[hidden_dim, vocabulary_size]`.
pub fn cross_entropy(
    hidden: Tensor<2>,
    table: Tensor<2>,
    request: CrossEntropy,
) -> CrossEntropyOutput {
    let (hidden, table) = (hidden.into_dispatch(), table.into_dispatch());
    let (losses, best, hidden, table) = Dispatch::fused_cross_entropy(hidden, table, request);
    CrossEntropyOutput {
        losses: Tensor::from_dispatch(losses),
        best: Tensor::from_dispatch(best),
        hidden_gradient: hidden.map(Tensor::from_dispatch),
        table_gradient: table.map(Tensor::from_dispatch),
    }
}

/// A token of each row of logits, chosen on their device; the logits need not be sent anywhere.
///
/// `vocabulary_size`, which no token has, stands for a row whose logits are not all finite. None
/// where the device has no kernel: see [`chooses_tokens`].
///
/// # Shapes
///
/// `logits`: `[rows, vocabulary_size]`; `numbers`, of `[0, 1)`, and the result: `[rows]`.
pub fn choose_tokens(
    logits: Tensor<2>,
    numbers: Tensor<1>,
    choice: TokenChoice,
) -> Option<Tensor<1, Int>> {
    let (logits, numbers) = (logits.into_dispatch(), numbers.into_dispatch());
    Dispatch::fused_token_choice(logits, numbers, choice).map(Tensor::from_dispatch)
}

/// The `k` most probable tokens of each row of logits, in the order of their numbers, and their
/// probabilities `softmax(logits / temperature)` before them.
///
/// For a row whose logits are not all finite, all tokens are `vocabulary_size`. None where the device
/// has no kernel: see [`chooses_tokens`].
///
/// # Shapes
///
/// `logits`: `[rows, vocabulary_size]`, of at least `k`; the results: `[rows, k]`.
///
/// # Panics
///
/// If `k` is 0 or larger than a row.
pub fn top_tokens(
    logits: Tensor<2>,
    k: usize,
    temperature: f32,
) -> Option<(Tensor<2>, Tensor<2, Int>)> {
    let [_, width] = logits.dims();
    assert!((1..=width).contains(&k), "{k} tokens of {width}");
    let found = Dispatch::fused_top_tokens(logits.into_dispatch(), k, temperature);
    let (Some(probabilities), Some(tokens)) = found else { return None };
    Some((Tensor::from_dispatch(probabilities), Tensor::from_dispatch(tokens)))
}

/// Whether [`choose_tokens`] and [`top_tokens`] have kernels on a device, in this build.
pub fn chooses_tokens(device: &Device) -> bool {
    #[cfg(all(feature = "gpu", not(feature = "fusion")))]
    if let burn::backend::DispatchDevice::Cube(_) = device.as_dispatch() {
        return crate::setting::setting() != Some("composed");
    }
    let _ = device;
    false
}

/// Whether a device has what a [`StepState`](crate::StepState) needs, for a model with heads of this
/// size: [`step_embedding`] and [`step_attention`].
pub fn has_steps(device: &Device, head_dim: usize) -> bool {
    // Browsers refuse a barrier in a loop whose end is read from memory, since units might differ.
    #[cfg(all(feature = "gpu", not(feature = "fusion"), not(target_family = "wasm")))]
    if chooses_tokens(device) {
        return crate::gpu::has_step_attention(head_dim);
    }
    let _ = (device, head_dim);
    false
}

/// The sum of the vectors of tokens and of the position that they all have.
///
/// # Shapes
///
/// `tokens`: `[rows]`; `position`: `[1]`; tables: `[entries, hidden_dim]`; result: `[rows, 1,
/// hidden_dim]`.
///
/// # Panics
///
/// If the device [has no steps](has_steps).
pub fn step_embedding(
    tokens: Tensor<1, Int>,
    position: Tensor<1, Int>,
    token_table: Tensor<2>,
    position_table: Tensor<2>,
) -> Tensor<3> {
    let (tokens, position) = (tokens.into_dispatch(), position.into_dispatch());
    let (token_table, position_table) =
        (token_table.into_dispatch(), position_table.into_dispatch());
    let sum = Dispatch::fused_step_embedding(tokens, position, token_table, position_table);
    Tensor::from_dispatch(sum.expect("the device has steps"))
}

/// [`cached_attention`] of one new token a row, where the number of tokens in the cache, `[1]`, is on
/// the device. The caches are written in place: their clones are the same caches.
///
/// # Panics
///
/// If the device [has no steps](has_steps).
pub fn step_attention(
    [query, key, value]: [Tensor<3>; 3],
    [key_cache, value_cache]: &[Tensor<4>; 2],
    position: Tensor<1, Int>,
    options: AttentionOptions,
) -> Tensor<3> {
    let output = Dispatch::fused_step_attention(
        query.into_dispatch(),
        key.into_dispatch(),
        value.into_dispatch(),
        key_cache.clone().into_dispatch(),
        value_cache.clone().into_dispatch(),
        position.into_dispatch(),
        options,
    );
    Tensor::from_dispatch(output.expect("the device has steps"))
}

/// A step of Adam: changes a variable and its two or, with AMSGrad, three moments
/// (`keras/src/optimizers/adam.py`), in place if no other reference to them is held.
///
/// # Panics
///
/// For another number of moments.
pub fn adam(
    variable: Tensor<1>,
    gradient: Tensor<1>,
    moments: &mut [Tensor<1>],
    step: AdamStep,
) -> Tensor<1> {
    let device = variable.device();
    let take = |moment: &mut Tensor<1>| {
        std::mem::replace(moment, Tensor::empty([0], &device)).into_dispatch()
    };
    let taken = match moments {
        [momentum, velocity] => Moments::Two(take(momentum), take(velocity)),
        [momentum, velocity, largest] => {
            Moments::Three(take(momentum), take(velocity), take(largest))
        }
        _ => panic!("Adam keeps two or three moments, not {}", moments.len()),
    };
    let (variable, gradient) = (variable.into_dispatch(), gradient.into_dispatch());
    let (variable, changed) = Dispatch::fused_adam(variable, gradient, taken, step);
    for (moment, changed) in moments.iter_mut().zip(changed) {
        *moment = Tensor::from_dispatch(changed);
    }
    Tensor::from_dispatch(variable)
}

/// The sum of squares.
pub fn square_sum(x: Tensor<1>) -> Tensor<1> {
    Tensor::from_dispatch(Dispatch::fused_square_sum(x.into_dispatch()))
}

/// Every number times the one in `factor`, in place if no other reference to `x` is held.
///
/// # Shapes
///
/// `factor`: `[1]`.
pub fn scale(x: Tensor<1>, factor: Tensor<1>) -> Tensor<1> {
    Tensor::from_dispatch(Dispatch::fused_scale(x.into_dispatch(), factor.into_dispatch()))
}

/// `x - x * share * learning_rate`, in place if no other reference to `x` is held
/// ([Loshchilov and Hutter, 2017](https://arxiv.org/abs/1711.05101)).
pub fn weight_decay(x: Tensor<1>, share: f64, learning_rate: f32) -> Tensor<1> {
    let x = Dispatch::fused_weight_decay(x.into_dispatch(), share, learning_rate);
    Tensor::from_dispatch(x)
}

fn padding(mask: Option<Tensor<2, Bool>>) -> Padding<Dispatch> {
    mask.map_or(Padding::None, |mask| Padding::Keep(mask.into_dispatch()))
}

/// Runs a computation on one of the cores that the operations use, so that they need not be woken
/// for each of them.
pub fn run_on_cores<R: Send>(compute: impl FnOnce() -> R + Send) -> R {
    #[cfg(feature = "flex")]
    return rayon::scope(|_| compute());
    #[cfg(not(feature = "flex"))]
    compute()
}
