//! Tokens that a cache holds, and the rows of the buffers in which they are.

use std::sync::Arc;

use gpt2_kernels::CachedKeys;

use crate::error::BackboneError;

/// Lengths and rows of the sequences in a cache: of one length, each token in a row of its own
/// choice.
#[derive(Debug, Clone)]
pub(crate) struct CachedTokens {
    batch_size: usize,
    /// Tokens of every sequence.
    length: usize,
    max_length: usize,
    /// Row of each token, `[batch_size][max_length]`. Default: sequence `i` is in row `i`.
    rows: Option<Arc<[u32]>>,
}

impl CachedTokens {
    /// Sequences without a token.
    pub(crate) fn new(batch_size: usize, max_length: usize) -> Self {
        Self { batch_size, length: 0, max_length, rows: None }
    }

    /// Number of sequences.
    pub(crate) fn batch_size(&self) -> usize {
        self.batch_size
    }

    /// Number of tokens of every sequence.
    pub(crate) fn length(&self) -> usize {
        self.length
    }

    /// Number of tokens for which every sequence has room.
    pub(crate) fn max_length(&self) -> usize {
        self.max_length
    }

    /// Location of the tokens in the buffers.
    pub(crate) fn location(&self) -> CachedKeys {
        CachedKeys { start: self.length, rows: self.rows.clone() }
    }

    /// Forgets the tokens from `length` on.
    pub(crate) fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
    }

    /// Makes sequence `i` a copy of the former sequence `selected[i]`.
    ///
    /// # Panics
    ///
    /// If a sequence does not exist.
    pub(crate) fn select(&mut self, selected: &[usize]) {
        assert!(selected.iter().all(|&row| row < self.batch_size), "no such row in {selected:?}");
        if selected.iter().copied().eq(0..self.batch_size) {
            return;
        }
        let mut moved = vec![0; selected.len() * self.max_length];
        for (&row, moved) in selected.iter().zip(moved.chunks_exact_mut(self.max_length)) {
            match &self.rows {
                Some(rows) => moved.copy_from_slice(&rows[row * self.max_length..][..moved.len()]),
                None => moved.fill(row as u32),
            }
        }
        self.rows = Some(moved.into());
        self.batch_size = selected.len();
    }

    /// Refuses new tokens for which there is no sequence or no room.
    pub(crate) fn check_room(&self, batch_size: usize, new: usize) -> Result<(), BackboneError> {
        if batch_size != self.batch_size {
            return Err(BackboneError::ShapeMismatch {
                name: "token_ids",
                expected: vec![self.batch_size, new],
                found: vec![batch_size, new],
            });
        }
        let (length, max_length) = (self.length, self.max_length);
        if length + new > max_length {
            return Err(BackboneError::CacheFull { length, max_length, new });
        }
        Ok(())
    }

    /// Counts tokens that sequence `i` has written to row `i`.
    pub(crate) fn advance(&mut self, new: usize) {
        if let Some(rows) = &mut self.rows {
            let sequences = Arc::make_mut(rows).chunks_exact_mut(self.max_length);
            for (row, places) in sequences.enumerate() {
                places[self.length..self.length + new].fill(row as u32);
            }
        }
        self.length += new;
    }
}
