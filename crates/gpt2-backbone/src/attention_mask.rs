//! Which positions attend to which.
//!
//! The only file that knows burn's polarity (true = hidden). Everywhere else a mask has Keras'
//! (1 = keep).

use burn::tensor::{Bool, DType, Device, Int, Tensor, activation::softmax};

/// Causal attention, and the padding mask where there is one.
#[derive(Debug, Clone)]
pub struct AttentionMask {
    /// True where a score is hidden, `[batch_size or 1, 1, queries, keys]`; `None` hides nothing.
    hidden: Option<Tensor<4, Bool>>,
    /// Whether a padding mask may hide all keys of a query.
    has_padding: bool,
}

impl AttentionMask {
    /// The mask of `queries` tokens at the positions `start..start + queries`, which see the
    /// keys up to their own position.
    ///
    /// # Shapes
    ///
    /// `padding_mask`: `[batch_size, start + queries]`, true where a key may be seen.
    pub fn causal(
        start: usize,
        queries: usize,
        padding_mask: Option<Tensor<2, Bool>>,
        device: &Device,
    ) -> Self {
        let has_padding = padding_mask.is_some();
        let padded = padding_mask.map(|mask| mask.bool_not().unsqueeze_dims::<4>(&[1, 1]));
        // A single query is the last position and sees all keys.
        let future = (queries > 1).then(|| future_mask(start, queries, device));
        let hidden = match (future, padded) {
            (Some(future), Some(padded)) => {
                let [batch_size, _, _, keys] = padded.dims();
                let shape = [batch_size, 1, queries, keys];
                Some(future.expand(shape).bool_or(padded.expand(shape)))
            }
            (future, padded) => future.or(padded),
        };
        Self { hidden, has_padding }
    }

    /// The softmax of attention scores over the keys that may be seen.
    ///
    /// As Keras' masked softmax, a query that sees nothing gets zero weights: neither NaN nor a
    /// uniform distribution.
    ///
    /// # Shapes
    ///
    /// `[batch_size, num_heads, queries, keys]`, unchanged.
    pub fn softmax(&self, scores: Tensor<4>) -> Tensor<4> {
        let Some(hidden) = &self.hidden else {
            return softmax(scores, 3);
        };
        // Keras' mask values: finite, so that no row becomes NaN.
        let lowest = if scores.dtype() == DType::F16 { -3e4 } else { -1e9 };
        let hidden = hidden.clone().expand(scores.dims());
        let weights = softmax(scores.mask_fill(hidden.clone(), lowest), 3);
        if self.has_padding { weights.mask_fill(hidden, 0.0) } else { weights }
    }
}

/// True where the key comes after the query, `[1, 1, queries, start + queries]`.
fn future_mask(start: usize, queries: usize, device: &Device) -> Tensor<4, Bool> {
    let keys = start + queries;
    let query = Tensor::<1, Int>::arange(start as i64..keys as i64, device).reshape([queries, 1]);
    let key = Tensor::<1, Int>::arange(0..keys as i64, device).reshape([1, keys]);
    let future: Tensor<2, Bool> =
        key.expand([queries, keys]).greater(query.expand([queries, keys]));
    future.unsqueeze_dims::<4>(&[0, 0])
}
