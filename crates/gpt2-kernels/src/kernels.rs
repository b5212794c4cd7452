//! The operations that a backend may have a kernel for.

#[cfg(all(feature = "fusion", feature = "gpu"))]
use burn::backend::Cube;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, backend_extension};

use crate::adam::{self, AdamStep, Moments};
use crate::attention::{AttentionOptions, CachedKeys, DropoutKey, Padding};
use crate::composed;
use crate::cross_entropy::{self, CrossEntropy};
use crate::step_tensors::{self, StepTensors};
use crate::token_choice::TokenChoice;

/// What the forward pass of GPT-2 is made of, and the way back.
///
/// Every operation has a composed default of burn's own operations, which works on every device
/// and for every float type. Where a gradient is computed, [`crate::backward`] calls the
/// operations whose name ends in `_backward`.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(any(feature = "wgpu", feature = "cuda")),
    Autodiff
)]
pub trait Kernels: Backend {
    /// `x W + b`: `[rows, inputs] -> [rows, outputs]`.
    fn fused_linear(
        x: FloatTensor<Self>,
        kernel: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        composed::linear::<Self>(x, kernel, bias)
    }

    /// `x W + b` with three matrices of the same size, and their biases.
    #[allow(clippy::too_many_arguments, reason = "three matrices and three biases")]
    fn fused_projections(
        x: FloatTensor<Self>,
        kernel_0: FloatTensor<Self>,
        kernel_1: FloatTensor<Self>,
        kernel_2: FloatTensor<Self>,
        bias_0: FloatTensor<Self>,
        bias_1: FloatTensor<Self>,
        bias_2: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        one_by_one::<Self>(x, [kernel_0, kernel_1, kernel_2], [bias_0, bias_1, bias_2])
    }

    /// `gelu(x W + b)`.
    fn fused_linear_gelu(
        x: FloatTensor<Self>,
        kernel: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        Self::fused_gelu(Self::fused_linear(x, kernel, bias))
    }

    /// `x W + b + residual`.
    fn fused_linear_add(
        x: FloatTensor<Self>,
        kernel: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        residual: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        Self::float_add(residual, Self::fused_linear(x, kernel, bias))
    }

    /// `hidden @ table^T`: `[rows, hidden_dim], [outputs, hidden_dim] -> [rows, outputs]`.
    fn fused_reverse_embedding(
        hidden: FloatTensor<Self>,
        table: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        composed::reverse_embedding::<Self>(hidden, table)
    }

    /// GPT-2's GELU.
    fn fused_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        composed::gelu::<Self>(x)
    }

    /// The gradient by `x` from the gradient by the result.
    fn fused_gelu_backward(x: FloatTensor<Self>, gradient: FloatTensor<Self>) -> FloatTensor<Self> {
        composed::gelu_backward::<Self>(x, gradient)
    }

    /// Layer normalisation over the last axis, `[rows, hidden_dim]`, in 32-bit floats also where
    /// the input has 16 bits; the result has the input's type.
    fn fused_layer_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        composed::layer_norm::<Self>(x, gamma, beta, epsilon)
    }

    /// The gradients by `x`, `gamma` and `beta`.
    fn fused_layer_norm_backward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        composed::layer_norm_backward::<Self>(x, gamma, gradient, epsilon)
    }

    /// Sets numbers to zero, and divides the others by the probability that they are kept.
    fn fused_dropout(x: FloatTensor<Self>, dropout: DropoutKey) -> FloatTensor<Self> {
        let factors = composed::dropout_factors::<Self>(&x, dropout);
        Self::float_mul(x, factors)
    }

    /// Causal attention, `[batch_size, sequence_length, hidden_dim]`.
    fn fused_attention(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        #[extension_type] padding: Padding<Self>,
        options: AttentionOptions,
    ) -> FloatTensor<Self> {
        composed::attention::<Self>(query, key, value, padding, options)
    }

    /// The gradients by query, key and value.
    fn fused_attention_backward(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        #[extension_type] padding: Padding<Self>,
        options: AttentionOptions,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        composed::attention_backward::<Self>(query, key, value, gradient, padding, options)
    }

    /// Attention to a cache, `[rows, num_heads, max_length, head_dim]`, to which keys and values
    /// are written first. Returns the output and the two caches.
    #[allow(clippy::too_many_arguments, reason = "three inputs, two caches, and how")]
    fn fused_cached_attention(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        key_cache: FloatTensor<Self>,
        value_cache: FloatTensor<Self>,
        #[extension_type] padding: Padding<Self>,
        cached: CachedKeys,
        options: AttentionOptions,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        composed::cached_attention::<Self>(
            query,
            key,
            value,
            key_cache,
            value_cache,
            padding,
            cached,
            options,
        )
    }

    /// As [`Kernels::fused_cached_attention`] of one token a row, where the number of tokens in the
    /// cache, `[1]`, is on the device. Writes to the caches in place, whoever else has them; none
    /// where the device has no kernel for it.
    #[allow(clippy::too_many_arguments, reason = "three inputs, two caches, and how")]
    fn fused_step_attention(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        key_cache: FloatTensor<Self>,
        value_cache: FloatTensor<Self>,
        position: IntTensor<Self>,
        options: AttentionOptions,
    ) -> Option<FloatTensor<Self>> {
        let _ = (query, key, value, key_cache, value_cache, position, options);
        None
    }

    /// The sum of the tokens' vectors and of the position's, `[rows, 1, hidden_dim]`; none where the
    /// device has no kernel for it.
    fn fused_step_embedding(
        tokens: IntTensor<Self>,
        position: IntTensor<Self>,
        token_table: FloatTensor<Self>,
        position_table: FloatTensor<Self>,
    ) -> Option<FloatTensor<Self>> {
        let _ = (tokens, position, token_table, position_table);
        None
    }

    /// Takes a step's state to the next position: in place where the device has a kernel for it,
    /// else by tensors in place of those of the position before.
    fn fused_advance(
        #[extension_type] state: StepTensors<Self>,
        chosen: IntTensor<Self>,
        vocabulary_size: usize,
    ) -> StepTensors<Self> {
        step_tensors::advance::<Self>(state, chosen, vocabulary_size)
    }

    /// Cross-entropies `[rows]` and most probable tokens `[rows]` of the output layer, and the
    /// gradients by hidden states and table that are asked for. Not differentiable itself.
    #[allow(clippy::type_complexity, reason = "the extension mechanism reads the types as written")]
    fn fused_cross_entropy(
        hidden: FloatTensor<Self>,
        table: FloatTensor<Self>,
        request: CrossEntropy,
    ) -> (FloatTensor<Self>, IntTensor<Self>, Option<FloatTensor<Self>>, Option<FloatTensor<Self>>)
    {
        cross_entropy::composed::<Self>(hidden, table, request)
    }

    /// Of logits, `[rows, vocabulary_size]` in 32-bit floats: cross-entropies `[rows]`, most probable
    /// tokens `[rows]`, and with `slope` the logits' gradient, where `factors`, `[rows]`, are the
    /// rows' shares in the loss.
    #[allow(clippy::type_complexity, reason = "the extension mechanism reads the types as written")]
    fn fused_logit_losses(
        logits: FloatTensor<Self>,
        targets: IntTensor<Self>,
        factors: FloatTensor<Self>,
        slope: bool,
    ) -> (FloatTensor<Self>, IntTensor<Self>, Option<FloatTensor<Self>>) {
        cross_entropy::logit_losses::<Self>(logits, targets, factors, slope)
    }

    /// A token of each row of logits, `[rows, vocabulary_size]`, given a number of `[0, 1)` for each
    /// row, or `vocabulary_size` where the logits are not all finite; none where the device has no
    /// kernel for it.
    fn fused_token_choice(
        logits: FloatTensor<Self>,
        numbers: FloatTensor<Self>,
        choice: TokenChoice,
    ) -> Option<IntTensor<Self>> {
        let _ = (logits, numbers, choice);
        None
    }

    /// The `k` most probable tokens of each row of logits, in the order of their numbers, and their
    /// probabilities before them: `[rows, k]` each. For a row whose logits are not all finite, all
    /// tokens are `vocabulary_size`. None where the device has no kernel for it.
    fn fused_top_tokens(
        logits: FloatTensor<Self>,
        k: usize,
        temperature: f32,
    ) -> (Option<FloatTensor<Self>>, Option<IntTensor<Self>>) {
        let _ = (logits, k, temperature);
        (None, None)
    }

    /// The new values of a variable and of its moments, in order; all are flat.
    fn fused_adam(
        variable: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        #[extension_type] moments: Moments<Self>,
        step: AdamStep,
    ) -> (FloatTensor<Self>, Vec<FloatTensor<Self>>) {
        adam::composed_adam::<Self>(variable, gradient, moments.into_slots(), step)
    }

    /// The sum of squares, `[1]`.
    fn fused_square_sum(x: FloatTensor<Self>) -> FloatTensor<Self> {
        adam::composed_square_sum::<Self>(x)
    }

    /// Every number times the one in `factor`, `[1]`; `x` is flat.
    fn fused_scale(x: FloatTensor<Self>, factor: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::float_mul(x, factor)
    }

    /// `x - x * share * learning_rate`.
    fn fused_weight_decay(
        x: FloatTensor<Self>,
        share: f64,
        learning_rate: f32,
    ) -> FloatTensor<Self> {
        adam::composed_weight_decay::<Self>(x, share, learning_rate)
    }
}

/// Three products of the same rows, a launch each.
pub(crate) fn one_by_one<B: Kernels>(
    x: FloatTensor<B>,
    kernels: [FloatTensor<B>; 3],
    biases: [FloatTensor<B>; 3],
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let [kernel_0, kernel_1, kernel_2] = kernels;
    let [bias_0, bias_1, bias_2] = biases;
    (
        B::fused_linear(x.clone(), kernel_0, bias_0),
        B::fused_linear(x.clone(), kernel_1, bias_1),
        B::fused_linear(x, kernel_2, bias_2),
    )
}

#[cfg(feature = "ndarray")]
#[allow(deprecated, reason = "burn deprecates the backend; users may still ask for it")]
impl Kernels for burn::backend::NdArray {
    fn fused_dropout(x: FloatTensor<Self>, dropout: DropoutKey) -> FloatTensor<Self> {
        composed::counted_dropout::<Self>(x, dropout)
    }
}

/// burn joins its own operations into kernels there, and takes others as they are.
#[cfg(all(feature = "fusion", feature = "gpu"))]
impl Kernels for Cube {}
