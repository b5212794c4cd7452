//! Packs token ids between start and end tokens into rows of one length.

use gpt2_tokenizer::TokenId;

use crate::error::TaskError;
use crate::token_batch::TokenBatch;

/// Largest length of a row. It exceeds any model's: a larger length is a mistake.
pub(crate) const MAX_SEQUENCE_LENGTH: usize = 1 << 24;

/// Adds start and end values, truncates long rows and pads short rows
/// (`keras_hub/src/layers/preprocessing/start_end_packer.py`).
///
/// A long row is truncated at its right end, but keeps the start and end values.
///
/// ```
/// use gpt2_task::StartEndPacker;
///
/// let packer = StartEndPacker::new(5).with_start_value(vec![1]).with_end_value(vec![2]);
/// let packed = packer.pack(&[vec![7, 8, 9, 10], vec![7]])?;
/// assert_eq!(packed.token_ids(), [[1, 7, 8, 9, 2], [1, 7, 2, 0, 0]]);
/// assert_eq!(packed.padding_mask()[1], [true, true, true, false, false]);
/// # Ok::<(), gpt2_task::TaskError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartEndPacker {
    /// Length of every packed row, in tokens.
    pub sequence_length: usize,
    /// Tokens before every row. Default: none.
    pub start_value: Vec<TokenId>,
    /// Tokens after every row. Default: none.
    pub end_value: Vec<TokenId>,
    /// Padding of short rows. Default: 0.
    pub pad_value: TokenId,
    /// Side on which short rows are padded. Default: right.
    pub padding_side: PaddingSide,
}

/// Side on which short rows are padded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PaddingSide {
    /// Before the tokens. A backbone has absolute positions, so such rows suit only other models.
    Left,
    /// After the tokens.
    #[default]
    Right,
}

impl StartEndPacker {
    /// Packer without start and end values that pads with 0 at the right.
    pub fn new(sequence_length: usize) -> Self {
        Self {
            sequence_length,
            start_value: Vec::new(),
            end_value: Vec::new(),
            pad_value: 0,
            padding_side: PaddingSide::Right,
        }
    }

    /// Sets the tokens before every row.
    #[must_use]
    pub fn with_start_value(mut self, start_value: Vec<TokenId>) -> Self {
        self.start_value = start_value;
        self
    }

    /// Sets the tokens after every row.
    #[must_use]
    pub fn with_end_value(mut self, end_value: Vec<TokenId>) -> Self {
        self.end_value = end_value;
        self
    }

    /// Sets the padding of short rows.
    #[must_use]
    pub fn with_pad_value(mut self, pad_value: TokenId) -> Self {
        self.pad_value = pad_value;
        self
    }

    /// Sets the side on which short rows are padded.
    #[must_use]
    pub fn with_padding_side(mut self, padding_side: PaddingSide) -> Self {
        self.padding_side = padding_side;
        self
    }

    /// Packs every row to [`sequence_length`](Self::sequence_length) tokens.
    ///
    /// # Errors
    ///
    /// [`TaskError::EmptyBatch`] for no rows, [`TaskError::InvalidLength`] for a length of 0 or
    /// above 2^24, and [`TaskError::SequenceLengthTooShort`] if start and end values alone do not
    /// fit. (KerasHub slices with a negative length in that case.)
    pub fn pack(&self, rows: &[Vec<TokenId>]) -> Result<TokenBatch, TaskError> {
        let special = self.start_value.len() + self.end_value.len();
        let found = self.sequence_length;
        check_length("sequence_length", found, MAX_SEQUENCE_LENGTH)?;
        let too_short = TaskError::SequenceLengthTooShort { found, special };
        let room = found.checked_sub(special).ok_or(too_short)?;
        let (token_ids, padding_mask): (Vec<_>, Vec<_>) =
            rows.iter().map(|row| self.pack_row(row, room)).unzip();
        TokenBatch::new(token_ids, padding_mask)
    }

    fn pack_row(&self, row: &[TokenId], room: usize) -> (Vec<TokenId>, Vec<bool>) {
        let kept = &row[..row.len().min(room)];
        let packed = [&self.start_value, kept, &self.end_value].concat();
        let padding = vec![self.pad_value; self.sequence_length - packed.len()];
        let real = vec![true; packed.len()];
        let padded = vec![false; padding.len()];
        match self.padding_side {
            PaddingSide::Right => ([packed, padding].concat(), [real, padded].concat()),
            PaddingSide::Left => ([padding, packed].concat(), [padded, real].concat()),
        }
    }
}

/// Rejects a length of 0, or above `limit`.
pub(crate) fn check_length(
    name: &'static str,
    found: usize,
    limit: usize,
) -> Result<(), TaskError> {
    if (1..=limit).contains(&found) {
        return Ok(());
    }
    Err(TaskError::InvalidLength { name, found, limit })
}

#[cfg(test)]
mod tests {
    use super::*;

    // Cases of keras_hub/src/layers/preprocessing/start_end_packer_test.py.
    #[test]
    fn rows_are_padded_and_cut() {
        let packer = StartEndPacker::new(5);
        let packed = packer.pack(&[vec![5, 6, 7]]).unwrap();
        assert_eq!(packed.token_ids(), [[5, 6, 7, 0, 0]]);
        let packer = packer.with_start_value(vec![1, 2]).with_end_value(vec![3, 4]);
        let packed = packer.pack(&[vec![5, 6, 7], vec![]]).unwrap();
        assert_eq!(packed.token_ids(), [[1, 2, 5, 3, 4], [1, 2, 3, 4, 0]]);
    }

    #[test]
    fn padding_can_be_at_the_left() {
        let packer = StartEndPacker::new(4)
            .with_start_value(vec![1])
            .with_pad_value(9)
            .with_padding_side(PaddingSide::Left);
        let packed = packer.pack(&[vec![5]]).unwrap();
        assert_eq!(packed.token_ids(), [[9, 9, 1, 5]]);
        assert_eq!(packed.padding_mask(), [[false, false, true, true]]);
    }

    #[test]
    fn a_length_without_room_is_refused() {
        let pack = |sequence_length| {
            let packer = StartEndPacker::new(sequence_length).with_start_value(vec![1]);
            packer.with_end_value(vec![2]).pack(&[vec![5]]).unwrap_err()
        };
        assert!(matches!(pack(1), TaskError::SequenceLengthTooShort { special: 2, .. }));
        for sequence_length in [0, usize::MAX] {
            assert!(matches!(pack(sequence_length), TaskError::InvalidLength { .. }));
        }
        assert!(matches!(StartEndPacker::new(3).pack(&[]), Err(TaskError::EmptyBatch { .. })));
    }
}
