//! Piecewise constant learning rate.

use serde::{Deserialize, Serialize};

use crate::arguments::{check, check_number};
use crate::error::TaskError;

/// `values[0]` up to and including step `boundaries[0]`, then `values[1]`, and so on
/// (`PiecewiseConstantDecay` in `keras/src/optimizers/schedules/learning_rate_schedule.py`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PiecewiseConstantDecay {
    /// Last step of every interval but the last one, in increasing order.
    pub boundaries: Vec<u64>,
    /// Learning rate of every interval.
    pub values: Vec<f64>,
}

impl PiecewiseConstantDecay {
    /// Intervals that end at `boundaries`, with one value more.
    pub fn new(boundaries: impl Into<Vec<u64>>, values: impl Into<Vec<f64>>) -> Self {
        Self { boundaries: boundaries.into(), values: values.into() }
    }

    /// Learning rate of a step, counted from 0. If values are missing, which
    /// [`validate`](Self::validate) rejects, the last value.
    pub fn at(&self, step: u64) -> f64 {
        let stretch = self.boundaries.partition_point(|&boundary| boundary < step);
        let value = self.values.get(stretch).or(self.values.last());
        f64::from(value.copied().unwrap_or_default() as f32)
    }

    /// Checks the arguments.
    ///
    /// # Errors
    ///
    /// [`TaskError::InvalidTrainingArgument`] unless there is exactly one value more than
    /// boundaries and the boundaries increase.
    pub fn validate(&self) -> Result<(), TaskError> {
        let owner = "PiecewiseConstantDecay";
        let (boundaries, values) = (self.boundaries.len(), self.values.len());
        let expected = format!("{} long, one more than `boundaries`", boundaries + 1);
        check(values == boundaries + 1, owner, "values", &expected, values)?;
        let rising = self.boundaries.is_sorted_by(|low, high| low < high);
        let found = format!("{:?}", self.boundaries);
        check(rising, owner, "boundaries", "strictly increasing", found)?;
        self.values.iter().try_for_each(|&value| check_number(owner, "values", value))
    }
}
