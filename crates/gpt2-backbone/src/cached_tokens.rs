//! Tokens in a cache, and the buffer rows that hold them.

use std::sync::Arc;

use gpt2_kernels::CachedKeys;

use crate::error::BackboneError;

/// Length of a cache's sequences, and the buffer row of each token. All sequences have the same
/// length.
#[derive(Debug, Clone)]
pub(crate) struct CachedTokens {
    batch_size: usize,
    /// Number of tokens of every sequence.
    length: usize,
    max_length: usize,
    /// Buffer row of each token, `[batch_size][max_length]`. Default: sequence `i` is in row `i`.
    rows: Option<Arc<[u32]>>,
}

impl CachedTokens {
    /// Empty sequences.
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

    /// Largest number of tokens of every sequence.
    pub(crate) fn max_length(&self) -> usize {
        self.max_length
    }

    /// Location of the tokens in the buffers.
    pub(crate) fn location(&self) -> CachedKeys {
        CachedKeys { start: self.length, rows: self.rows.clone() }
    }

    /// Removes the tokens from `length` on.
    pub(crate) fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
    }

    /// Makes sequence `i` a copy of the former sequence `selected[i]`.
    ///
    /// # Panics
    ///
    /// If a sequence does not exist.
    pub(crate) fn select(&mut self, selected: &[usize]) {
        assert!(
            selected.iter().all(|&row| row < self.batch_size),
            "a sequence of {selected:?} does not exist"
        );
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

    /// Returns an error if the batch size differs from the cache's, or the new tokens do not fit.
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
