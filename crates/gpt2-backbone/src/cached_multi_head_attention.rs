//! Multi-head self-attention, with or without a key/value cache.

use burn::module::Module;
use burn::tensor::Tensor;

use crate::Gpt2BackboneConfig;
use crate::dense::Dense;
use crate::dropout::Place;
use crate::forward_pass::ForwardPass;
use crate::key_value_cache::LayerCache;
use crate::parameter::{ParameterReader, ParameterSource};

/// `softmax(Q K^T / sqrt(head_dim)) V` in every head
/// ([Vaswani et al., 2017](https://arxiv.org/abs/1706.03762);
/// `keras_hub/src/layers/modeling/cached_multi_head_attention.py`).
#[derive(Module, Debug)]
pub struct CachedMultiHeadAttention {
    /// Projection to queries; the heads lie side by side in its output.
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

    /// Attends to the input itself, and to what the cache holds.
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
        let [batch_size, sequence_length, hidden_dim] = input.dims();
        // Keras scales the queries, not the scores.
        let query = self.split_heads(self.query_dense.forward(input.clone()) * self.query_scale);
        let key = self.split_heads(self.key_dense.forward(input.clone()));
        let value = self.split_heads(self.value_dense.forward(input));
        let (key, value) = match cache {
            Some((cache, start)) => cache.append(start, key, value),
            None => (key, value),
        };
        let weights = pass.mask.softmax(query.matmul(key.swap_dims(2, 3)));
        let weights = pass.drop(weights, Place::Probabilities(layer));
        let joined = weights.matmul(value).swap_dims(1, 2).reshape([
            batch_size,
            sequence_length,
            hidden_dim,
        ]);
        self.output_dense.forward(joined)
    }

    /// `[batch_size, sequence_length, hidden_dim] -> [batch_size, num_heads, sequence_length, head_dim]`
    fn split_heads(&self, projected: Tensor<3>) -> Tensor<4> {
        let [batch_size, sequence_length, hidden_dim] = projected.dims();
        let head_dim = hidden_dim / self.num_heads;
        projected.reshape([batch_size, sequence_length, self.num_heads, head_dim]).swap_dims(1, 2)
    }
}
