//! Inputs of an attention.

use super::heads::Sequences;
use crate::op::attention::inputs::AttentionOptions;

/// Inputs of an attention.
#[derive(Clone, Copy)]
pub(super) struct Inputs<'a> {
    /// Queries of the new tokens.
    pub(super) query: Sequences<'a>,
    /// Keys of all tokens, the new ones last.
    pub(super) key: Sequences<'a>,
    /// Values of the same tokens.
    pub(super) value: Sequences<'a>,
    /// Padding mask, `[batch_size, keys]`: 1 where a key may be seen.
    pub(super) keep: Option<&'a [u8]>,
    pub(super) batch_size: usize,
    pub(super) queries: usize,
    pub(super) keys: usize,
    pub(super) options: AttentionOptions,
}

impl Inputs<'_> {
    /// Width of a head.
    pub(super) fn width(&self) -> usize {
        self.query.width
    }

    /// Number of multiplications.
    pub(super) fn work(&self) -> usize {
        2 * self.batch_size * self.options.num_heads * self.queries * self.keys * self.width()
    }

    /// Padding mask of a sequence, if there is one.
    pub(super) fn keep(&self, sequence: usize) -> Option<&[u8]> {
        self.keep.map(|keep| &keep[sequence * self.keys..][..self.keys])
    }
}
