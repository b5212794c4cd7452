//! Multi-head self-attention, with or without a key/value cache.

use burn::module::Module;
use burn::tensor::Tensor;
use gpt2_kernels::{AttentionOptions, Qkv, attention};

use crate::config::Gpt2BackboneConfig;
use crate::dense::Dense;
use crate::dropout::Place;
use crate::key_value_cache::LayerCache;
use crate::parameter::{ParameterReader, ParameterSource};
use crate::pass_state::PassState;

/// Computes `softmax(Q K^T / sqrt(head_dim)) V` in every head ([Vaswani et al.,
/// 2017](https://arxiv.org/abs/1706.03762);
/// `keras_hub/src/layers/modeling/cached_multi_head_attention.py`).
#[derive(Module, Debug)]
pub struct CachedMultiHeadAttention {
    /// Projection to queries; the heads are adjacent in its output.
    pub query_dense: Dense,
    /// Projection to keys.
    pub key_dense: Dense,
    /// Projection to values.
    pub value_dense: Dense,
    /// Projection of the joined heads.
    pub output_dense: Dense,
    num_heads: usize,
    query_scale: f64,
}

impl CachedMultiHeadAttention {
    pub(crate) fn read<S: ParameterSource>(
        mut reader: ParameterReader<'_, S>,
        config: &Gpt2BackboneConfig,
        layer: usize,
    ) -> Result<Self, S::Error> {
        let hidden = config.hidden_dim;
        Ok(Self {
            query_dense: Dense::read(reader.module("query_dense"), hidden, hidden)?
                .with_groups(config.num_heads),
            key_dense: Dense::read(reader.module("key_dense"), hidden, hidden)?
                .with_groups(config.num_heads),
            value_dense: Dense::read(reader.module("value_dense"), hidden, hidden)?
                .with_groups(config.num_heads),
            output_dense: Dense::read(reader.module("output_dense"), hidden, hidden)?,
            num_heads: config.num_heads,
            query_scale: config.query_scale(layer),
        })
    }

    /// Attends to the cached tokens and the input itself, and adds the result to `residual`.
    ///
    /// # Shapes
    ///
    /// `[batch_size, sequence_length, hidden_dim]`, unchanged.
    pub(crate) fn add_to(
        &self,
        residual: Tensor<3>,
        input: Tensor<3>,
        layer: usize,
        pass: &PassState,
        cache: Option<&mut LayerCache>,
    ) -> Tensor<3> {
        let projections = [&self.query_dense, &self.key_dense, &self.value_dense];
        let qkv = Qkv::from(Dense::forward_three(projections, input));
        let options = AttentionOptions {
            num_heads: self.num_heads,
            scale: self.query_scale,
            dropout: pass.dropout.map(|dropout| dropout.key(Place::Probabilities(layer))),
        };
        let joined = match cache {
            Some(cache) => cache.attend(qkv, pass, options),
            None => attention(qkv, pass.padding_mask.clone(), options),
        };
        self.output_dense.add_to(residual, joined, pass, Place::Attention(layer))
    }
}
