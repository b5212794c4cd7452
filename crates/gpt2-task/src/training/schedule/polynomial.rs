//! Polynomial decay, with the linear schedule as its default.

use serde::{Deserialize, Serialize};

use crate::arguments::{check_number, check_steps};
use crate::error::TaskError;

/// Decays to `end_learning_rate` with a power of the remaining steps, linearly by default
/// (`PolynomialDecay` in `keras/src/optimizers/schedules/learning_rate_schedule.py`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolynomialDecay {
    /// Learning rate of step 0.
    pub initial_learning_rate: f64,
    /// Steps of the decay.
    pub decay_steps: u64,
    /// Final rate. Default: 0.0001.
    #[serde(default = "default_end_learning_rate")]
    pub end_learning_rate: f64,
    /// Exponent of the remaining steps. Default: 1.
    #[serde(default = "default_power")]
    pub power: f64,
    /// Whether the rate jumps up after every `decay_steps` steps, to decay more slowly. Default:
    /// false.
    #[serde(default)]
    pub cycle: bool,
}

fn default_end_learning_rate() -> f64 {
    0.0001
}

fn default_power() -> f64 {
    1.0
}

impl PolynomialDecay {
    /// Linear decay from `initial_learning_rate` to 0.0001.
    pub fn new(initial_learning_rate: f64, decay_steps: u64) -> Self {
        let (end_learning_rate, power) = (default_end_learning_rate(), default_power());
        Self { initial_learning_rate, decay_steps, end_learning_rate, power, cycle: false }
    }

    /// Sets the final rate.
    #[must_use]
    pub fn with_end_learning_rate(mut self, end_learning_rate: f64) -> Self {
        self.end_learning_rate = end_learning_rate;
        self
    }

    /// Sets the exponent of the remaining steps.
    #[must_use]
    pub fn with_power(mut self, power: f64) -> Self {
        self.power = power;
        self
    }

    /// Sets whether the rate jumps up after every `decay_steps` steps.
    #[must_use]
    pub fn with_cycle(mut self, cycle: bool) -> Self {
        self.cycle = cycle;
        self
    }

    /// Learning rate of a step, counted from 0.
    pub fn at(&self, step: u64) -> f64 {
        let (mut step, mut decay_steps) = (step as f32, self.decay_steps as f32);
        if !self.cycle {
            step = step.min(decay_steps);
        } else if step > 0.0 {
            decay_steps *= (step / decay_steps).ceil();
        }
        let end = self.end_learning_rate as f32;
        let left = (1.0 - step / decay_steps).powf(self.power as f32);
        f64::from((self.initial_learning_rate as f32 - end) * left + end)
    }

    /// Checks the arguments.
    ///
    /// # Errors
    ///
    /// [`TaskError::InvalidTrainingArgument`] for an argument out of range.
    pub fn validate(&self) -> Result<(), TaskError> {
        let owner = "PolynomialDecay";
        check_number(owner, "initial_learning_rate", self.initial_learning_rate)?;
        check_steps(owner, "decay_steps", self.decay_steps)?;
        check_number(owner, "end_learning_rate", self.end_learning_rate)?;
        check_number(owner, "power", self.power)
    }
}
