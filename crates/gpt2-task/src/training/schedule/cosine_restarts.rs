//! Cosine decay with restarts.

use std::f32::consts::PI;

use serde::{Deserialize, Serialize};

use crate::arguments::{check, check_number, check_steps};
use crate::error::TaskError;

/// Decays along a cosine, jumps back up, and decays again
/// ([Loshchilov & Hutter, 2016](https://arxiv.org/abs/1608.03983); `CosineDecayRestarts` in
/// `keras/src/optimizers/schedules/learning_rate_schedule.py`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CosineDecayRestarts {
    /// Learning rate of step 0.
    pub initial_learning_rate: f64,
    /// Steps of the first decay.
    pub first_decay_steps: u64,
    /// Factor of the length of each decay over the one before. Default: 2.
    #[serde(default = "default_t_mul")]
    pub t_mul: f64,
    /// Factor of the initial rate of each decay over the one before. Default: 1.
    #[serde(default = "default_m_mul")]
    pub m_mul: f64,
    /// Lowest rate as a fraction of `initial_learning_rate`. Default: 0.
    #[serde(default)]
    pub alpha: f64,
}

fn default_t_mul() -> f64 {
    2.0
}

fn default_m_mul() -> f64 {
    1.0
}

impl CosineDecayRestarts {
    /// Decays from `initial_learning_rate` to 0, each twice as long as the one before.
    pub fn new(initial_learning_rate: f64, first_decay_steps: u64) -> Self {
        let (t_mul, m_mul) = (default_t_mul(), default_m_mul());
        Self { initial_learning_rate, first_decay_steps, t_mul, m_mul, alpha: 0.0 }
    }

    /// Sets the factor of the length of each decay over the one before.
    #[must_use]
    pub fn with_t_mul(mut self, t_mul: f64) -> Self {
        self.t_mul = t_mul;
        self
    }

    /// Sets the factor of the initial rate of each decay over the one before.
    #[must_use]
    pub fn with_m_mul(mut self, m_mul: f64) -> Self {
        self.m_mul = m_mul;
        self
    }

    /// Sets the lowest rate, as a fraction of `initial_learning_rate`.
    #[must_use]
    pub fn with_alpha(mut self, alpha: f64) -> Self {
        self.alpha = alpha;
        self
    }

    /// Learning rate of a step, counted from 0.
    pub fn at(&self, step: u64) -> f64 {
        let completed = step as f32 / self.first_decay_steps as f32;
        let t_mul = self.t_mul as f32;
        let (restart, completed) = if t_mul == 1.0 {
            (completed.floor(), completed - completed.floor())
        } else {
            // The decays before number n take 1 + t_mul + … + t_mul^(n-1) times the steps of the
            // first.
            let restart = ((1.0 - completed * (1.0 - t_mul)).ln() / t_mul.ln()).floor();
            let before = (1.0 - t_mul.powf(restart)) / (1.0 - t_mul);
            (restart, (completed - before) / t_mul.powf(restart))
        };
        let height = (self.m_mul as f32).powf(restart);
        let cosine = 0.5 * height * (1.0 + (PI * completed).cos());
        let alpha = self.alpha as f32;
        f64::from(self.initial_learning_rate as f32 * ((1.0 - alpha) * cosine + alpha))
    }

    /// Checks the arguments.
    ///
    /// # Errors
    ///
    /// [`TaskError::InvalidTrainingArgument`], also for a `t_mul` below 1: all decays together
    /// would then take a finite number of steps, with no rate after them.
    pub fn validate(&self) -> Result<(), TaskError> {
        let owner = "CosineDecayRestarts";
        check_number(owner, "initial_learning_rate", self.initial_learning_rate)?;
        check_steps(owner, "first_decay_steps", self.first_decay_steps)?;
        let valid = (self.t_mul as f32).is_finite() && self.t_mul >= 1.0;
        check(valid, owner, "t_mul", "a finite number of at least 1", self.t_mul)?;
        check_number(owner, "m_mul", self.m_mul)?;
        check_number(owner, "alpha", self.alpha)
    }
}
