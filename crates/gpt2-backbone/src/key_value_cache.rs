//! Keys and values of the tokens seen so far, written in place.

use burn::tensor::{Device, Int, Tensor, s};

use crate::{BackboneError, Gpt2BackboneConfig};

/// The keys and values of every layer, with room for `max_length` tokens.
///
/// The buffers are allocated once and never grow. A cache belongs to one batch of sequences of
/// equal length; [`select_rows`](Self::select_rows) reorders or repeats the sequences.
#[derive(Debug, Clone)]
pub struct KeyValueCache {
    layers: Vec<LayerCache>,
    batch_size: usize,
    length: usize,
    max_length: usize,
}

/// One layer's part of a [`KeyValueCache`]: `[batch_size, num_heads, max_length, head_dim]` each.
#[derive(Debug, Clone)]
pub(crate) struct LayerCache {
    key: Tensor<4>,
    value: Tensor<4>,
}

impl KeyValueCache {
    /// An empty cache.
    ///
    /// # Errors
    ///
    /// [`BackboneError::SequenceTooLong`] if `max_length` exceeds the model's positions.
    pub fn new(
        config: &Gpt2BackboneConfig,
        batch_size: usize,
        max_length: usize,
        device: &Device,
    ) -> Result<Self, BackboneError> {
        if max_length > config.max_sequence_length {
            return Err(BackboneError::SequenceTooLong {
                end: max_length,
                max_sequence_length: config.max_sequence_length,
            });
        }
        let shape = [batch_size, config.num_heads, max_length, config.head_dim()];
        let layers = (0..config.num_layers)
            .map(|_| LayerCache {
                key: Tensor::zeros(shape, device),
                value: Tensor::zeros(shape, device),
            })
            .collect();
        Ok(Self { layers, batch_size, length: 0, max_length })
    }

    /// Number of tokens a row that the cache holds.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether the cache holds no token.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Number of tokens a row that the cache has room for.
    pub fn max_length(&self) -> usize {
        self.max_length
    }

    /// Number of rows.
    pub fn batch_size(&self) -> usize {
        self.batch_size
    }

    /// Forgets the tokens from `length` on; a longer `length` than the present one has no effect.
    pub fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
    }

    /// Makes row `i` a copy of the former row `rows[i]`, so that rows can be reordered, repeated
    /// and dropped.
    ///
    /// # Panics
    ///
    /// If a row does not exist.
    pub fn select_rows(&mut self, rows: &[usize]) {
        assert!(rows.iter().all(|&row| row < self.batch_size), "no such row in {rows:?}");
        if rows.iter().copied().eq(0..self.batch_size) {
            return;
        }
        for layer in &mut self.layers {
            let device = layer.key.device();
            let indices: Vec<i64> = rows.iter().map(|&row| row as i64).collect();
            let indices = Tensor::<1, Int>::from_data(indices.as_slice(), &device);
            for buffer in [&mut layer.key, &mut layer.value] {
                buffer.inplace(|buffer| select_filled(buffer, &indices, rows.len(), self.length));
            }
        }
        self.batch_size = rows.len();
    }

    pub(crate) fn reserve(&self, batch_size: usize, new: usize) -> Result<(), BackboneError> {
        if batch_size != self.batch_size {
            return Err(BackboneError::ShapeMismatch {
                name: "token_ids",
                expected: vec![self.batch_size, new],
                found: vec![batch_size, new],
            });
        }
        if self.length + new > self.max_length {
            return Err(BackboneError::CacheFull {
                length: self.length,
                max_length: self.max_length,
                new,
            });
        }
        Ok(())
    }

    pub(crate) fn layer(&mut self, index: usize) -> (&mut LayerCache, usize) {
        (&mut self.layers[index], self.length)
    }

    pub(crate) fn advance(&mut self, new: usize) {
        self.length += new;
    }
}

impl LayerCache {
    /// Writes keys and values behind the first `start` tokens, and returns those of all tokens.
    ///
    /// # Shapes
    ///
    /// `[batch_size, num_heads, new, head_dim] -> [batch_size, num_heads, start + new, head_dim]`
    pub(crate) fn append(
        &mut self,
        start: usize,
        key: Tensor<4>,
        value: Tensor<4>,
    ) -> (Tensor<4>, Tensor<4>) {
        (write(&mut self.key, start, key), write(&mut self.value, start, value))
    }
}

/// Moves the buffer through the assignment: a sole owner is written in place.
fn write(buffer: &mut Tensor<4>, start: usize, new: Tensor<4>) -> Tensor<4> {
    let end = start + new.dims()[2];
    buffer.inplace(|buffer| buffer.slice_assign(s![.., .., start..end, ..], new));
    buffer.clone().slice(s![.., .., 0..end, ..])
}

/// Selects rows of the filled part only, which is most of the saving in a long cache.
fn select_filled(
    buffer: Tensor<4>,
    indices: &Tensor<1, Int>,
    rows: usize,
    length: usize,
) -> Tensor<4> {
    let [batch_size, num_heads, max_length, head_dim] = buffer.dims();
    let filled = buffer.clone().slice(s![.., .., 0..length, ..]).select(0, indices.clone());
    let target = if rows == batch_size {
        buffer
    } else {
        Tensor::zeros([rows, num_heads, max_length, head_dim], &buffer.device())
    };
    target.slice_assign(s![.., .., 0..length, ..], filled)
}
