//! The kernels for GPUs, written once in CubeCL for every graphics interface.
//!
//! All compute in 32-bit floats, whatever type their tensors have: products and sums of 16-bit
//! floats are not rounded in between, and a device that only stores bfloat16 has all operations.
#![allow(clippy::collapsible_if, reason = "a condition of the kernel's compilation stands alone")]

mod attention;
mod attention_backward;
mod cross_entropy;
mod elementwise;
mod launch;
mod layer_norm;
mod product;
mod random;
mod ranking;
mod reading;
mod reduce;
mod step;
mod token_choice;
mod top_tokens;

use burn::backend::ops::{FloatTensorOps, IntTensorOps};
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{BoolStore, DType, TensorMetadata};
use burn_cubecl::CubeBackend;
use burn_cubecl::tensor::CubeTensor;

use self::attention::{Cache, Variant};
use self::elementwise::Epilogue;
use crate::adam::{self, AdamStep, Moments};
use crate::attention::{AttentionOptions, CachedKeys, DropoutKey, Padding};
use crate::kernels::{Kernels, one_by_one};
use crate::setting::setting;
use crate::step_tensors::{self, StepTensors};
use crate::token_choice::TokenChoice;
use crate::{composed, cross_entropy as losses};

pub(crate) use self::reading::start_read;

/// Whether all of these have a float type of the kernels, which is one.
fn has_kernel(tensors: &[&CubeTensor]) -> bool {
    let is_one = tensors.windows(2).all(|pair| pair[0].dtype == pair[1].dtype);
    is_one && are_floats(tensors)
}

/// Whether all of these have float types of the kernels.
fn are_floats(tensors: &[&CubeTensor]) -> bool {
    let has = |tensor: &&CubeTensor| matches!(tensor.dtype, DType::F32 | DType::F16 | DType::BF16);
    setting() != Some("composed") && tensors.iter().all(has)
}

fn linear(
    x: CubeTensor,
    kernel: CubeTensor,
    bias: CubeTensor,
    epilogue: Epilogue,
    residual: Option<CubeTensor>,
) -> CubeTensor {
    // The kernel of few rows reads the matrix as it lies.
    if x.shape()[0] <= product::MAX_ROWS && kernel.is_contiguous() {
        return product::product(x, kernel, bias, epilogue, residual);
    }
    let product = CubeBackend::float_matmul(x, kernel);
    elementwise::add_epilogue(product, bias, epilogue, residual)
}

/// How the units share the attention of these queries, if there is a way.
fn attention_variant(
    query: &CubeTensor,
    padding: &Padding<CubeBackend>,
    options: &AttentionOptions,
    cache: Cache,
) -> Option<Variant> {
    let [_, queries, hidden_dim] = query.shape().dims();
    let masked = match padding {
        Padding::None => false,
        Padding::Keep(keep) if keep.dtype == DType::Bool(BoolStore::Native) => return None,
        // The table of rows has the place of the mask.
        Padding::Keep(_) if cache == Cache::Table => return None,
        Padding::Keep(_) => true,
    };
    let dropped = options.dropout.is_some();
    attention::variant(hidden_dim / options.num_heads, queries, masked, dropped, cache)
}

/// Whether there is a way to attend with one query a row to heads of this size.
pub(crate) fn has_step_attention(head_dim: usize) -> bool {
    attention::variant(head_dim, 1, false, false, Cache::Counted).is_some()
}

fn mask(padding: Padding<CubeBackend>) -> Option<CubeTensor> {
    match padding {
        Padding::None => None,
        Padding::Keep(keep) => Some(keep),
    }
}

impl Kernels for CubeBackend {
    fn fused_linear(
        x: FloatTensor<Self>,
        kernel: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        if !has_kernel(&[&x, &kernel, &bias]) {
            return composed::linear::<Self>(x, kernel, bias);
        }
        linear(x, kernel, bias, Epilogue::None, None)
    }

    fn fused_projections(
        x: FloatTensor<Self>,
        kernel_0: FloatTensor<Self>,
        kernel_1: FloatTensor<Self>,
        kernel_2: FloatTensor<Self>,
        bias_0: FloatTensor<Self>,
        bias_1: FloatTensor<Self>,
        bias_2: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let (kernels, biases) = ([kernel_0, kernel_1, kernel_2], [bias_0, bias_1, bias_2]);
        let bindings = x.client.properties().hardware.max_bindings as usize;
        let all: Vec<&CubeTensor> = kernels.iter().chain(&biases).chain([&x]).collect();
        let is_one_size = kernels.iter().all(|kernel| kernel.shape() == kernels[0].shape());
        if x.shape()[0] > product::MAX_ROWS
            || bindings < product::BINDINGS
            || !is_one_size
            || !kernels.iter().all(CubeTensor::is_contiguous)
            || !has_kernel(&all)
        {
            return one_by_one::<Self>(x, kernels, biases);
        }
        product::projections(x, kernels, biases).into()
    }

    fn fused_linear_gelu(
        x: FloatTensor<Self>,
        kernel: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        if !has_kernel(&[&x, &kernel, &bias]) {
            return composed::gelu::<Self>(composed::linear::<Self>(x, kernel, bias));
        }
        linear(x, kernel, bias, Epilogue::Gelu, None)
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
        linear(x, kernel, bias, Epilogue::Add, Some(residual))
    }

    fn fused_reverse_embedding(
        hidden: FloatTensor<Self>,
        table: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        if !has_kernel(&[&hidden, &table]) || hidden.shape()[0] > product::MAX_ROWS {
            return composed::reverse_embedding::<Self>(hidden, table);
        }
        product::dots(hidden, table)
    }

    fn fused_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        if !has_kernel(&[&x]) {
            return composed::gelu::<Self>(x);
        }
        elementwise::gelu(x)
    }

    fn fused_gelu_backward(x: FloatTensor<Self>, gradient: FloatTensor<Self>) -> FloatTensor<Self> {
        if !has_kernel(&[&x, &gradient]) {
            return composed::gelu_backward::<Self>(x, gradient);
        }
        elementwise::gelu_backward(x, gradient)
    }

    fn fused_layer_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        if !are_floats(&[&x]) || !has_kernel(&[&gamma, &beta]) {
            return composed::layer_norm::<Self>(x, gamma, beta, epsilon);
        }
        layer_norm::layer_norm(x, gamma, beta, epsilon)
    }

    fn fused_layer_norm_backward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        if !has_kernel(&[&x, &gradient]) || !are_floats(&[&gamma]) {
            return composed::layer_norm_backward::<Self>(x, gamma, gradient, epsilon);
        }
        layer_norm::layer_norm_backward(x, gamma, gradient, epsilon)
    }

    fn fused_dropout(x: FloatTensor<Self>, dropout: DropoutKey) -> FloatTensor<Self> {
        match x.dtype {
            // The same numbers as on a CPU, whichever kernels are used.
            DType::F32 | DType::F16 | DType::BF16 => elementwise::dropout(x, dropout),
            _ => {
                let factors = composed::dropout_factors::<Self>(&x, dropout);
                Self::float_mul(x, factors)
            }
        }
    }

    fn fused_attention(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        padding: Padding<Self>,
        options: AttentionOptions,
    ) -> FloatTensor<Self> {
        match attention_variant(&query, &padding, &options, Cache::None) {
            Some(variant) if has_kernel(&[&query, &key, &value]) => {
                attention::attention([query, key, value], mask(padding), options, variant)
            }
            _ => composed::attention::<Self>(query, key, value, padding, options),
        }
    }

    fn fused_attention_backward(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        padding: Padding<Self>,
        options: AttentionOptions,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let bindings = query.client.properties().hardware.max_bindings as usize;
        match attention_variant(&query, &padding, &options, Cache::None) {
            Some(variant)
                if has_kernel(&[&query, &key, &value, &gradient])
                    && bindings >= attention_backward::BINDINGS =>
            {
                let inputs = [query, key, value];
                attention_backward::attention_backward(
                    inputs,
                    gradient,
                    mask(padding),
                    options,
                    variant,
                )
            }
            _ => {
                composed::attention_backward::<Self>(query, key, value, gradient, padding, options)
            }
        }
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
        let cache = if cached.rows.is_some() { Cache::Table } else { Cache::Straight };
        match attention_variant(&query, &padding, &options, cache) {
            Some(variant) if has_kernel(&[&query, &key, &value, &key_cache, &value_cache]) => {
                let extra = match &cached.rows {
                    Some(rows) => Some(attention::table(rows, &query)),
                    None => mask(padding),
                };
                let [key_cache, value_cache] = [key_cache, value_cache].map(launch::owned);
                let output = attention::cached_attention(
                    [query, key, value],
                    [&key_cache, &value_cache],
                    extra,
                    cached.start,
                    options,
                    variant,
                );
                (output, key_cache, value_cache)
            }
            _ => composed::cached_attention::<Self>(
                query,
                key,
                value,
                key_cache,
                value_cache,
                padding,
                cached,
                options,
            ),
        }
    }

    fn fused_step_attention(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        key_cache: FloatTensor<Self>,
        value_cache: FloatTensor<Self>,
        position: IntTensor<Self>,
        options: AttentionOptions,
    ) -> Option<FloatTensor<Self>> {
        let variant = attention_variant(&query, &Padding::None, &options, Cache::Counted)?;
        has_kernel(&[&query, &key, &value, &key_cache, &value_cache]).then(|| {
            let caches = [&key_cache, &value_cache];
            let inputs = [query, key, value];
            attention::cached_attention(inputs, caches, Some(position), 0, options, variant)
        })
    }

    fn fused_step_embedding(
        tokens: IntTensor<Self>,
        position: IntTensor<Self>,
        token_table: FloatTensor<Self>,
        position_table: FloatTensor<Self>,
    ) -> Option<FloatTensor<Self>> {
        has_kernel(&[&token_table, &position_table])
            .then(|| step::embedding(tokens, position, token_table, position_table))
    }

    fn fused_advance(
        state: StepTensors<Self>,
        chosen: IntTensor<Self>,
        vocabulary_size: usize,
    ) -> StepTensors<Self> {
        // A kernel reads and writes them as they lie, whoever else refers to them.
        let integers = [&state.position, &state.tokens, &state.forced];
        let floats = [&state.numbers, &state.all_numbers];
        if integers.iter().any(|tensor| tensor.dtype != DType::I32)
            || floats.iter().any(|tensor| tensor.dtype != DType::F32)
        {
            return step_tensors::advance::<Self>(state, chosen, vocabulary_size);
        }
        let chosen = match chosen.dtype {
            DType::I32 => chosen,
            _ => Self::int_cast(chosen, DType::I32.into()),
        };
        step::advance(&state, &chosen, vocabulary_size);
        state
    }

    fn fused_logit_losses(
        logits: FloatTensor<Self>,
        targets: IntTensor<Self>,
        factors: FloatTensor<Self>,
        slope: bool,
    ) -> (FloatTensor<Self>, IntTensor<Self>, Option<FloatTensor<Self>>) {
        if !has_kernel(&[&logits]) || logits.dtype != DType::F32 {
            return losses::logit_losses::<Self>(logits, targets, factors, slope);
        }
        cross_entropy::cross_entropy(logits, targets, slope.then_some(factors))
    }

    fn fused_token_choice(
        logits: FloatTensor<Self>,
        numbers: FloatTensor<Self>,
        choice: TokenChoice,
    ) -> Option<IntTensor<Self>> {
        has_kernel(&[&logits]).then(|| token_choice::choose(logits, numbers, choice))
    }

    fn fused_top_tokens(
        logits: FloatTensor<Self>,
        k: usize,
        temperature: f32,
    ) -> (Option<FloatTensor<Self>>, Option<IntTensor<Self>>) {
        if !has_kernel(&[&logits]) {
            return (None, None);
        }
        let (probabilities, tokens) = top_tokens::top_tokens(logits, k, temperature);
        (Some(probabilities), Some(tokens))
    }

    fn fused_adam(
        variable: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        moments: Moments<Self>,
        step: AdamStep,
    ) -> (FloatTensor<Self>, Vec<FloatTensor<Self>>) {
        match moments {
            Moments::Two(momentum, velocity)
                if has_kernel(&[&variable, &momentum, &velocity])
                    && variable.dtype == DType::F32
                    && are_floats(&[&gradient]) =>
            {
                elementwise::adam(variable, gradient, [momentum, velocity], step)
            }
            moments => adam::composed_adam::<Self>(variable, gradient, moments.into_slots(), step),
        }
    }
}
