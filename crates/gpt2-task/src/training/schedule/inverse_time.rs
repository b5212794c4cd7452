//! Inverse time decay of the learning rate.

use serde::{Deserialize, Serialize};

use super::periods::periods;
use crate::arguments::{check_number, check_steps};
use crate::error::TaskError;

/// `initial_learning_rate / (1 + decay_rate * step / decay_steps)`
/// (`InverseTimeDecay` in `keras/src/optimizers/schedules/learning_rate_schedule.py`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InverseTimeDecay {
    /// Learning rate of step 0.
    pub initial_learning_rate: f64,
    /// Steps in which the divisor grows by `decay_rate`.
    pub decay_steps: u64,
    /// Growth of the divisor per `decay_steps` steps.
    pub decay_rate: f64,
    /// Whether the rate changes only every `decay_steps` steps. Default: false.
    #[serde(default)]
    pub staircase: bool,
}

impl InverseTimeDecay {
    /// Schedule whose rate changes at every step.
    pub fn new(initial_learning_rate: f64, decay_steps: u64, decay_rate: f64) -> Self {
        Self { initial_learning_rate, decay_steps, decay_rate, staircase: false }
    }

    /// Sets whether the rate changes only every `decay_steps` steps.
    #[must_use]
    pub fn with_staircase(mut self, staircase: bool) -> Self {
        self.staircase = staircase;
        self
    }

    /// Learning rate of a step, counted from 0.
    pub fn at(&self, step: u64) -> f64 {
        let periods = periods(step, self.decay_steps, self.staircase);
        f64::from(self.initial_learning_rate as f32 / (1.0 + self.decay_rate as f32 * periods))
    }

    /// Checks the arguments.
    ///
    /// # Errors
    ///
    /// [`TaskError::InvalidTrainingArgument`] for an argument out of range.
    pub fn validate(&self) -> Result<(), TaskError> {
        let owner = "InverseTimeDecay";
        check_number(owner, "initial_learning_rate", self.initial_learning_rate)?;
        check_steps(owner, "decay_steps", self.decay_steps)?;
        check_number(owner, "decay_rate", self.decay_rate)
    }
}
