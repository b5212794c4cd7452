//! One transformer layer: attention and a feed-forward network, each behind a normalisation.

use burn::module::Module;
use burn::tensor::{Tensor, activation};

use crate::cached_multi_head_attention::CachedMultiHeadAttention;
use crate::dense::Dense;
use crate::dropout::Place;
use crate::forward_pass::ForwardPass;
use crate::key_value_cache::LayerCache;
use crate::layer_normalization::LayerNormalization;
use crate::parameter::{ParameterReader, ParameterSource};
use crate::{Activation, Gpt2BackboneConfig};

/// A pre-norm decoder layer without cross-attention
/// (`keras_hub/src/layers/modeling/transformer_decoder.py`, `normalize_first=True`).
#[derive(Module, Debug)]
pub struct TransformerDecoder {
    /// Normalises the input of the attention.
    pub self_attention_layer_norm: LayerNormalization,
    /// The attention.
    pub self_attention_layer: CachedMultiHeadAttention,
    /// Normalises the input of the feed-forward network.
    pub feedforward_layer_norm: LayerNormalization,
    /// `hidden_dim -> intermediate_dim`, before the activation.
    pub feedforward_intermediate_dense: Dense,
    /// `intermediate_dim -> hidden_dim`, behind it.
    pub feedforward_output_dense: Dense,
    #[module(skip)]
    activation: Activation,
}

impl TransformerDecoder {
    pub(crate) fn read<S: ParameterSource>(
        mut reader: ParameterReader<'_, S>,
        config: &Gpt2BackboneConfig,
        layer: usize,
    ) -> Result<Self, S::Error> {
        let (hidden, inner) = (config.hidden_dim, config.intermediate_dim);
        let epsilon = config.layer_norm_epsilon;
        Ok(Self {
            self_attention_layer_norm: LayerNormalization::read(
                reader.module("self_attention_layer_norm"),
                hidden,
                epsilon,
            )?,
            self_attention_layer: CachedMultiHeadAttention::read(
                reader.module("self_attention_layer"),
                config,
                layer,
            )?,
            feedforward_layer_norm: LayerNormalization::read(
                reader.module("feedforward_layer_norm"),
                hidden,
                epsilon,
            )?,
            feedforward_intermediate_dense: Dense::read(
                reader.module("feedforward_intermediate_dense"),
                hidden,
                inner,
            )?,
            feedforward_output_dense: Dense::read(
                reader.module("feedforward_output_dense"),
                inner,
                hidden,
            )?,
            activation: config.activation,
        })
    }

    /// Adds what the attention and the feed-forward network make of the input to it.
    ///
    /// # Shapes
    ///
    /// `[batch_size, sequence_length, hidden_dim]`, unchanged.
    pub(crate) fn forward(
        &self,
        input: Tensor<3>,
        layer: usize,
        pass: &ForwardPass,
        cache: Option<(&mut LayerCache, usize)>,
    ) -> Tensor<3> {
        let normalized = self.self_attention_layer_norm.forward(input.clone());
        let attended = self.self_attention_layer.forward(normalized, layer, pass, cache);
        let x = input + pass.drop(attended, Place::Attention(layer));
        let normalized = self.feedforward_layer_norm.forward(x.clone());
        let transformed = self.feed_forward(normalized);
        x + pass.drop(transformed, Place::FeedForward(layer))
    }

    /// The dense layers, in the order of a pass.
    pub(crate) fn dense_layers_mut(&mut self) -> [&mut Dense; 6] {
        let attention = &mut self.self_attention_layer;
        [
            &mut attention.query_dense,
            &mut attention.key_dense,
            &mut attention.value_dense,
            &mut attention.output_dense,
            &mut self.feedforward_intermediate_dense,
            &mut self.feedforward_output_dense,
        ]
    }

    fn feed_forward(&self, input: Tensor<3>) -> Tensor<3> {
        let inner = self.feedforward_intermediate_dense.forward(input);
        let activated = match self.activation {
            Activation::GeluNew => gelu_new(inner),
            Activation::Gelu => activation::gelu(inner),
            Activation::Relu => activation::relu(inner),
            Activation::Silu => activation::silu(inner),
            Activation::Tanh => activation::tanh(inner),
        };
        self.feedforward_output_dense.forward(activated)
    }
}

const SQRT_2_OVER_PI: f64 = 0.797_884_560_802_865_4;
const CUBIC: f64 = 0.044715;

/// GPT-2's GELU, `0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))`.
///
/// burn's own cubes with `powf`, a scalar library call for each number; two products are exact to
/// the last bit or two and many times faster.
fn gelu_new(x: Tensor<3>) -> Tensor<3> {
    if !x.is_tracked() {
        let tanh = gelu_tanh(x.clone());
        return x * (tanh + 1.0) * 0.5;
    }
    // Automatic differentiation would keep seven intermediate results and compute the hyperbolic
    // tangent, of all that a scalar library call, a second time. Only the slope is kept: `x - x0`
    // is zero, and its gradient one.
    let x0 = x.clone().inner();
    let tanh = gelu_tanh(x0.clone());
    let half = (tanh.clone() + 1.0) * 0.5;
    // Beyond 10 the slope of the tangent is zero, and a square would overflow 16-bit floats.
    let near = x0.clone().clamp(-10.0, 10.0);
    let inner_slope = near.clone() * near.clone() * (3.0 * CUBIC) + 1.0;
    let slope = (-(tanh.clone() * tanh.clone()) + 1.0) * near * inner_slope;
    let slope = slope * (0.5 * SQRT_2_OVER_PI) + half;
    let value = x0.clone() * (tanh + 1.0) * 0.5;
    (x - Tensor::from_inner(x0)) * Tensor::from_inner(slope) + Tensor::from_inner(value)
}

/// `tanh(sqrt(2 / pi) (x + 0.044715 x^3))`
fn gelu_tanh(x: Tensor<3>) -> Tensor<3> {
    let cubic = x.clone() * x.clone() * x.clone() * CUBIC;
    ((x + cubic) * SQRT_2_OVER_PI).tanh()
}
