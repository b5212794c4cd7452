//! One transformer layer: attention and a feed-forward network, each after a normalisation.

use burn::module::Module;
use burn::tensor::{Tensor, activation};

use crate::cached_multi_head_attention::CachedMultiHeadAttention;
use crate::config::{Activation, Gpt2BackboneConfig};
use crate::dense::Dense;
use crate::dropout::Place;
use crate::key_value_cache::LayerCache;
use crate::layer_normalization::LayerNormalization;
use crate::parameter::{ParameterReader, ParameterSource};
use crate::pass_state::PassState;

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
    /// `intermediate_dim -> hidden_dim`, after the activation.
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

    /// Adds the outputs of the attention and of the feed-forward network to their inputs.
    ///
    /// # Shapes
    ///
    /// `[batch_size, sequence_length, hidden_dim]`, unchanged.
    pub(crate) fn forward(
        &self,
        input: Tensor<3>,
        layer: usize,
        pass: &PassState,
        cache: Option<&mut LayerCache>,
    ) -> Tensor<3> {
        let normalized = self.self_attention_layer_norm.forward(input.clone());
        let x = self.self_attention_layer.add_to(input, normalized, layer, pass, cache);
        let normalized = self.feedforward_layer_norm.forward(x.clone());
        let activated = self.activate(normalized);
        self.feedforward_output_dense.add_to(x, activated, pass, Place::FeedForward(layer))
    }

    /// Dense layers, in the order of the forward pass.
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

    fn activate(&self, input: Tensor<3>) -> Tensor<3> {
        let dense = &self.feedforward_intermediate_dense;
        match self.activation {
            Activation::GeluNew => dense.forward_gelu(input),
            Activation::Gelu => activation::gelu(dense.forward(input)),
            Activation::Relu => activation::relu(dense.forward(input)),
            Activation::Silu => activation::silu(dense.forward(input)),
            Activation::Tanh => activation::tanh(dense.forward(input)),
        }
    }
}
