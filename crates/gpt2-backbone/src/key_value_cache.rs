//! Keys and values of earlier tokens, written in place.

use burn::tensor::{DType, Device, Tensor, s};
use gpt2_kernels::{AttentionOptions, CachedKeys, Caches, Qkv, cached_attention, step_attention};

use crate::cached_tokens::CachedTokens;
use crate::config::Gpt2BackboneConfig;
use crate::error::BackboneError;
use crate::pass_state::PassState;

/// Keys and values of every layer, with room for `max_length` tokens.
///
/// The buffers are allocated once. A cache belongs to one batch of sequences of equal length.
/// [`select_rows`](Self::select_rows) reorders or repeats sequences without a copy: a table maps
/// each token of each sequence to its buffer row.
#[derive(Debug, Clone)]
pub struct KeyValueCache {
    layers: Vec<LayerCache>,
    /// Number of buffer rows.
    capacity: usize,
    tokens: CachedTokens,
}

/// One layer's part of a [`KeyValueCache`].
#[derive(Debug, Clone)]
pub(crate) struct LayerCache {
    /// Keys and values, `[capacity, num_heads, max_length, head_dim]` each. None only while the
    /// attention writes to them.
    buffers: Option<Caches>,
}

impl KeyValueCache {
    /// Empty cache of this float type.
    ///
    /// # Errors
    ///
    /// [`BackboneError::SequenceTooLong`] if `max_length` exceeds the model's positions.
    pub fn new(
        config: &Gpt2BackboneConfig,
        batch_size: usize,
        max_length: usize,
        device: &Device,
        dtype: DType,
    ) -> Result<Self, BackboneError> {
        if max_length > config.max_sequence_length {
            return Err(BackboneError::SequenceTooLong {
                end: max_length,
                max_sequence_length: config.max_sequence_length,
            });
        }
        let shape = [batch_size, config.num_heads, max_length, config.head_dim()];
        let zeros = || Tensor::zeros(shape, (device, dtype));
        let layers = (0..config.num_layers)
            .map(|_| LayerCache { buffers: Some(Caches { keys: zeros(), values: zeros() }) })
            .collect();
        Ok(Self { layers, capacity: batch_size, tokens: CachedTokens::new(batch_size, max_length) })
    }

    /// Number of tokens a row that the cache holds.
    pub fn len(&self) -> usize {
        self.tokens.length()
    }

    /// Whether the cache holds no token.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Largest number of tokens a row.
    pub fn max_length(&self) -> usize {
        self.tokens.max_length()
    }

    /// Number of rows.
    pub fn batch_size(&self) -> usize {
        self.tokens.batch_size()
    }

    /// Removes the tokens from `length` on. No effect if the cache has no more tokens than that.
    pub fn truncate(&mut self, length: usize) {
        self.tokens.truncate(length);
    }

    /// Makes row `i` a copy of the former row `rows[i]`, which reorders, repeats or drops rows.
    ///
    /// # Panics
    ///
    /// If a row does not exist.
    pub fn select_rows(&mut self, rows: &[usize]) {
        self.tokens.select(rows);
        let batch_size = self.tokens.batch_size();
        if batch_size > self.capacity {
            self.capacity = batch_size;
            self.layers.iter_mut().for_each(|layer| layer.grow(batch_size));
        }
    }

    /// Returns an error if the batch size differs from the cache's, or the new tokens do not fit.
    pub(crate) fn check_room(&self, batch_size: usize, new: usize) -> Result<(), BackboneError> {
        self.tokens.check_room(batch_size, new)
    }

    /// Location of the tokens' keys and values.
    pub(crate) fn cached(&self) -> CachedKeys {
        self.tokens.location()
    }

    pub(crate) fn layer(&mut self, index: usize) -> &mut LayerCache {
        &mut self.layers[index]
    }

    /// Counts tokens that every sequence has written to its own row.
    pub(crate) fn advance(&mut self, new: usize) {
        self.tokens.advance(new);
    }
}

impl LayerCache {
    /// Writes keys and values after the cached tokens, and attends to all tokens.
    ///
    /// # Shapes
    ///
    /// `[batch_size, new, hidden_dim]` for query, key, value and the result.
    pub(crate) fn attend(
        &mut self,
        qkv: Qkv,
        pass: &PassState,
        options: AttentionOptions,
    ) -> Tensor<3> {
        let free = "no attention is under way";
        if let Some(position) = &pass.position {
            let buffers = self.buffers.as_ref().expect(free);
            return step_attention(qkv, buffers, position.clone(), options);
        }
        // Moved out and back: buffers without another reference are written in place.
        let buffers = self.buffers.take().expect(free);
        let (mask, cached) = (pass.padding_mask.clone(), pass.cached.clone());
        let (output, buffers) = cached_attention(qkv, buffers, mask, cached, options);
        self.buffers = Some(buffers);
        output
    }

    /// Adds empty rows, up to `capacity`.
    fn grow(&mut self, capacity: usize) {
        let Caches { keys, values } = self.buffers.take().expect("no attention is under way");
        let grown = |buffer: Tensor<4>| {
            let [rows, num_heads, max_length, head_dim] = buffer.dims();
            let shape = [capacity, num_heads, max_length, head_dim];
            let larger = Tensor::zeros(shape, (&buffer.device(), buffer.dtype()));
            larger.slice_assign(s![0..rows, .., .., ..], buffer)
        };
        self.buffers = Some(Caches { keys: grown(keys), values: grown(values) });
    }
}
