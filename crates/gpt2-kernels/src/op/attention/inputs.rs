//! The arguments of the attention operations.

use std::sync::Arc;

use burn::backend::tensor::{BoolTensor, FloatTensor};
use burn::backend::{Backend, ExtensionType};
use burn::tensor::Tensor;

use crate::op::dropout::key::DropoutKey;

/// Settings of attention.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AttentionOptions {
    /// Number of heads, which are adjacent in queries, keys and values.
    pub num_heads: usize,
    /// Scale of the queries.
    pub scale: f64,
    /// Dropout of probabilities, in training.
    pub dropout: Option<DropoutKey>,
}

/// Location of earlier tokens' keys and values in a cache.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CachedKeys {
    /// Number of earlier tokens.
    pub start: usize,
    /// Cache row of each token of each sequence, `[batch_size][max_length]`. Default: sequence `i` is in
    /// row `i`.
    pub rows: Option<Arc<[u32]>>,
}

/// Queries, keys and values of new tokens, `[batch_size, new, hidden_dim]` each.
#[derive(Debug, Clone)]
pub struct Qkv {
    /// Queries.
    pub query: Tensor<3>,
    /// Keys.
    pub key: Tensor<3>,
    /// Values.
    pub value: Tensor<3>,
}

impl From<[Tensor<3>; 3]> for Qkv {
    fn from([query, key, value]: [Tensor<3>; 3]) -> Self {
        Self { query, key, value }
    }
}

/// Caches of keys and of values, `[rows, num_heads, max_length, head_dim]` each.
#[derive(Debug, Clone)]
pub struct Caches {
    /// Keys.
    pub keys: Tensor<4>,
    /// Values.
    pub values: Tensor<4>,
}

/// [`Qkv`] on a backend, or the gradients by its tensors.
#[derive(Debug, Clone, ExtensionType)]
pub struct QkvTensors<B: Backend> {
    pub(super) query: FloatTensor<B>,
    pub(super) key: FloatTensor<B>,
    pub(super) value: FloatTensor<B>,
}

impl<B: Backend> From<[FloatTensor<B>; 3]> for QkvTensors<B> {
    fn from([query, key, value]: [FloatTensor<B>; 3]) -> Self {
        Self { query, key, value }
    }
}

impl<B: Backend> QkvTensors<B> {
    /// Applies `change` to each of the three tensors.
    #[cfg(any(feature = "flex", all(feature = "gpu", not(feature = "fusion"))))]
    pub(super) fn map(self, change: impl FnMut(FloatTensor<B>) -> FloatTensor<B>) -> Self {
        [self.query, self.key, self.value].map(change).into()
    }
}

/// [`Caches`] on a backend.
#[derive(Debug, Clone, ExtensionType)]
pub struct CacheTensors<B: Backend> {
    pub(super) keys: FloatTensor<B>,
    pub(super) values: FloatTensor<B>,
}

/// Keys that are hidden in addition to those after the query.
#[derive(Debug, Clone, ExtensionType)]
pub enum Padding<B: Backend> {
    /// None.
    None,
    /// Keys where the mask, `[batch_size, keys]`, is false.
    Keep(BoolTensor<B>),
}
