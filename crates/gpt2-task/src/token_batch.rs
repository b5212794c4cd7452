//! Token ids and their padding mask: the model's input, on the host.

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use gpt2_tokenizer::TokenId;

use crate::error::TaskError;

/// KerasHub's `{"token_ids", "padding_mask"}`: rows of equal length, and a mask of the real tokens.
///
/// ```
/// use gpt2_task::TokenBatch;
///
/// // Rows are arrays, vectors, or an iterator of either.
/// let batch = TokenBatch::new([[5, 6, 0]], [[true, true, false]])?;
/// assert_eq!((batch.batch_size(), batch.sequence_length()), (1, 3));
/// # Ok::<(), gpt2_task::TaskError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenBatch {
    token_ids: Vec<Vec<TokenId>>,
    padding_mask: Vec<Vec<bool>>,
}

impl TokenBatch {
    /// Batch of rows that all have one length, which the mask must have too.
    ///
    /// # Errors
    ///
    /// [`TaskError::EmptyBatch`], [`TaskError::RowLength`] or [`TaskError::BatchSize`].
    pub fn new<I: Into<Vec<TokenId>>, M: Into<Vec<bool>>>(
        token_ids: impl IntoIterator<Item = I>,
        padding_mask: impl IntoIterator<Item = M>,
    ) -> Result<Self, TaskError> {
        let (token_ids, padding_mask) = (rows(token_ids), rows(padding_mask));
        let length = token_ids.first().map_or(0, Vec::len);
        if length == 0 {
            return Err(TaskError::EmptyBatch { name: "token_ids" });
        }
        check_rows("token_ids", &token_ids, token_ids.len(), length)?;
        check_rows("padding_mask", &padding_mask, token_ids.len(), length)?;
        Ok(Self { token_ids, padding_mask })
    }

    /// Batch without padding.
    ///
    /// # Errors
    ///
    /// Those of [`new`](Self::new).
    pub fn unpadded<I: Into<Vec<TokenId>>>(
        token_ids: impl IntoIterator<Item = I>,
    ) -> Result<Self, TaskError> {
        let token_ids = rows(token_ids);
        let padding_mask: Vec<_> = token_ids.iter().map(|row| vec![true; row.len()]).collect();
        Self::new(token_ids, padding_mask)
    }

    /// Token ids, `[batch_size][sequence_length]`.
    pub fn token_ids(&self) -> &[Vec<TokenId>] {
        &self.token_ids
    }

    /// Padding mask, `[batch_size][sequence_length]`: true for a real token.
    pub fn padding_mask(&self) -> &[Vec<bool>] {
        &self.padding_mask
    }

    /// Number of rows.
    pub fn batch_size(&self) -> usize {
        self.token_ids.len()
    }

    /// Tokens in a row, including padding.
    pub fn sequence_length(&self) -> usize {
        self.token_ids[0].len()
    }

    /// Number of real tokens of every row, if the padding is at the right.
    ///
    /// # Errors
    ///
    /// [`TaskError::NotRightPadded`].
    pub fn row_lengths(&self) -> Result<Vec<usize>, TaskError> {
        let length = |(row, mask): (usize, &Vec<bool>)| {
            let length = mask.iter().take_while(|&&real| real).count();
            if mask[length..].contains(&true) {
                return Err(TaskError::NotRightPadded { row });
            }
            Ok(length)
        };
        self.padding_mask.iter().enumerate().map(length).collect()
    }

    /// Rejects ids of at least `vocabulary_size`.
    ///
    /// # Errors
    ///
    /// [`TaskError::TokenOutOfRange`].
    pub fn check_ids(&self, vocabulary_size: usize) -> Result<(), TaskError> {
        check_ids("token_ids", &self.token_ids, vocabulary_size)
    }

    /// Copies the batch to a device: ids and mask, `[batch_size, sequence_length]` each.
    ///
    /// # Errors
    ///
    /// [`TaskError::TokenOutOfRange`] for an id of at least `vocabulary_size`.
    pub fn to_tensors(
        &self,
        vocabulary_size: usize,
        device: &Device,
    ) -> Result<(Tensor<2, Int>, Tensor<2, Bool>), TaskError> {
        let token_ids = ids_to_tensor("token_ids", &self.token_ids, vocabulary_size, device)?;
        let mask: Vec<bool> = self.padding_mask.concat();
        let shape = [self.batch_size(), self.sequence_length()];
        Ok((token_ids, Tensor::from_data(TensorData::new(mask, shape), device)))
    }
}

/// Collects rows of any kind as vectors.
pub(crate) fn rows<T, R: Into<Vec<T>>>(rows: impl IntoIterator<Item = R>) -> Vec<Vec<T>> {
    rows.into_iter().map(Into::into).collect()
}

/// Checks that `rows` has `batch_size` rows of `length` entries.
pub(crate) fn check_rows<T>(
    name: &'static str,
    rows: &[Vec<T>],
    batch_size: usize,
    length: usize,
) -> Result<(), TaskError> {
    if rows.len() != batch_size {
        return Err(TaskError::BatchSize { name, expected: batch_size, found: rows.len() });
    }
    match rows.iter().enumerate().find(|(_, row)| row.len() != length) {
        Some((row, found)) => {
            Err(TaskError::RowLength { name, row, expected: length, found: found.len() })
        }
        None => Ok(()),
    }
}

/// Rejects ids of at least `vocabulary_size`.
pub(crate) fn check_ids(
    name: &'static str,
    rows: &[Vec<TokenId>],
    vocabulary_size: usize,
) -> Result<(), TaskError> {
    for (row, ids) in rows.iter().enumerate() {
        let outside = ids.iter().position(|&id| id as usize >= vocabulary_size);
        if let Some(position) = outside {
            let token_id = ids[position];
            return Err(TaskError::TokenOutOfRange {
                name,
                row,
                position,
                token_id,
                vocabulary_size,
            });
        }
    }
    Ok(())
}

/// Copies rows of ids, all of one length, to a device. Every id is checked first.
pub(crate) fn ids_to_tensor(
    name: &'static str,
    rows: &[Vec<TokenId>],
    vocabulary_size: usize,
    device: &Device,
) -> Result<Tensor<2, Int>, TaskError> {
    check_ids(name, rows, vocabulary_size)?;
    let ids: Vec<i32> = rows.iter().flatten().map(|&id| id as i32).collect();
    let shape = [rows.len(), rows[0].len()];
    Ok(Tensor::from_data(TensorData::new(ids, shape), device))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_do_not_fit_are_named() {
        type Case = (Vec<Vec<u32>>, Vec<Vec<bool>>, &'static str);
        let cases: [Case; 5] = [
            (vec![], vec![], "empty batch"),
            (vec![vec![]], vec![vec![]], "empty batch"),
            (
                vec![vec![1, 2], vec![3]],
                vec![vec![true; 2], vec![true]],
                "`token_ids` must have 2 entries in row 1, found 1",
            ),
            (vec![vec![1]], vec![], "`padding_mask` must have 1 rows, found 0"),
            (
                vec![vec![1]],
                vec![vec![true; 2]],
                "`padding_mask` must have 1 entries in row 0, found 2",
            ),
        ];
        for (ids, mask, expected) in cases {
            let message = TokenBatch::new(ids, mask).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn only_right_padding_has_row_lengths() {
        let lengths = |mask: [bool; 3]| {
            TokenBatch::new(vec![vec![1; 3]], vec![mask.to_vec()]).unwrap().row_lengths()
        };
        assert_eq!(lengths([true, true, false]).unwrap(), [2]);
        assert_eq!(lengths([false, false, false]).unwrap(), [0]);
        for mask in [[false, true, true], [true, false, true]] {
            assert!(matches!(lengths(mask), Err(TaskError::NotRightPadded { row: 0 })));
        }
    }

    #[test]
    fn ids_out_of_range_are_named() {
        let batch = TokenBatch::unpadded(vec![vec![0, 9], vec![1, 10]]).unwrap();
        let message = batch.to_tensors(10, &Device::flex()).unwrap_err().to_string();
        assert!(message.contains("token id 10 (row 1, position 1)"), "{message}");
        assert!(batch.to_tensors(11, &Device::flex()).is_ok());
    }
}
