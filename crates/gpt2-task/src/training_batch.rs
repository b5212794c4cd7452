//! Batch of training examples on the host.

use gpt2_tokenizer::TokenId;

use crate::error::TaskError;
use crate::token_batch::{TokenBatch, check_rows, rows};

/// KerasHub's `(x, y, sample_weight)`: inputs, targets, and the targets' weights.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingBatch {
    /// Input of the model.
    pub x: TokenBatch,
    /// Targets: the token after each token of `x`, `[batch_size][sequence_length]`.
    pub y: Vec<Vec<TokenId>>,
    /// Weight of each target, `[batch_size][sequence_length]`; 0 where `y` is padding.
    pub sample_weight: Vec<Vec<f32>>,
}

impl TrainingBatch {
    /// Batch of inputs and targets. The weight is 1 for every real token of `x`, and 0 for padding.
    ///
    /// ```
    /// use gpt2_task::{TokenBatch, TrainingBatch};
    ///
    /// let x = TokenBatch::unpadded([[5, 6, 7]])?;
    /// let batch = TrainingBatch::new(x, [[6, 7, 0]])?.with_sample_weight([[1.0, 1.0, 0.0]])?;
    /// assert_eq!(batch.batch_size(), 1);
    /// # Ok::<(), gpt2_task::TaskError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`TaskError::BatchSize`] or [`TaskError::RowLength`] if the targets' shape differs from the
    /// inputs'.
    pub fn new<R: Into<Vec<TokenId>>>(
        x: TokenBatch,
        y: impl IntoIterator<Item = R>,
    ) -> Result<Self, TaskError> {
        let sample_weight = weights_of_mask(x.padding_mask());
        let batch = Self { x, y: rows(y), sample_weight };
        batch.check()?;
        Ok(batch)
    }

    /// Sets the weights of the targets.
    ///
    /// # Errors
    ///
    /// [`TaskError::BatchSize`] or [`TaskError::RowLength`] if the weights' shape differs from the
    /// inputs', and [`TaskError::InvalidSampleWeight`] for a weight that is negative or not finite.
    pub fn with_sample_weight<R: Into<Vec<f32>>>(
        mut self,
        sample_weight: impl IntoIterator<Item = R>,
    ) -> Result<Self, TaskError> {
        self.sample_weight = rows(sample_weight);
        self.check()?;
        Ok(self)
    }

    /// Checks the shapes of targets and weights again: the public fields may have changed.
    pub(crate) fn check(&self) -> Result<(), TaskError> {
        let (batch_size, length) = (self.x.batch_size(), self.x.sequence_length());
        check_rows("y", &self.y, batch_size, length)?;
        check_rows("sample_weight", &self.sample_weight, batch_size, length)?;
        for (row, weights) in self.sample_weight.iter().enumerate() {
            let bad = weights.iter().position(|weight| !(weight.is_finite() && *weight >= 0.0));
            if let Some(position) = bad {
                let found = weights[position];
                return Err(TaskError::InvalidSampleWeight { row, position, found });
            }
        }
        Ok(())
    }

    /// Number of rows.
    pub fn batch_size(&self) -> usize {
        self.x.batch_size()
    }

    /// Rows with these indices.
    pub(crate) fn rows(&self, indices: &[usize]) -> Result<Self, TaskError> {
        let ids = pick(self.x.token_ids(), indices);
        Ok(Self {
            x: TokenBatch::new(ids, pick(self.x.padding_mask(), indices))?,
            y: pick(&self.y, indices),
            sample_weight: pick(&self.sample_weight, indices),
        })
    }
}

/// 1 where the mask is true.
pub(crate) fn weights_of_mask(mask: &[Vec<bool>]) -> Vec<Vec<f32>> {
    let weights = |row: &Vec<bool>| row.iter().map(|&real| f32::from(u8::from(real))).collect();
    mask.iter().map(weights).collect()
}

pub(crate) fn pick<T: Clone>(rows: &[T], indices: &[usize]) -> Vec<T> {
    indices.iter().map(|&index| rows[index].clone()).collect()
}
