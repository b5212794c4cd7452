//! Cosine decay after an optional linear warmup.

use std::f32::consts::PI;

use serde::{Deserialize, Serialize};

use crate::arguments::{check, check_number, check_steps};
use crate::error::TaskError;

/// Rises linearly to `warmup_target`, then decays along a cosine (`CosineDecay` in
/// `keras/src/optimizers/schedules/learning_rate_schedule.py`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CosineDecay {
    /// Learning rate of step 0.
    pub initial_learning_rate: f64,
    /// Steps of the decay, without the warmup.
    pub decay_steps: u64,
    /// Final rate as a fraction of the rate at which the decay starts. Default: 0.
    #[serde(default)]
    pub alpha: f64,
    /// Rate at which the warmup ends and the decay starts. Default: none, the decay starts at
    /// `initial_learning_rate` without a warmup.
    #[serde(default)]
    pub warmup_target: Option<f64>,
    /// Steps of the warmup. Default: 0.
    #[serde(default)]
    pub warmup_steps: u64,
}

impl CosineDecay {
    /// Decay from `initial_learning_rate` to 0.
    pub fn new(initial_learning_rate: f64, decay_steps: u64) -> Self {
        let (warmup_target, warmup_steps) = (None, 0);
        Self { initial_learning_rate, decay_steps, alpha: 0.0, warmup_target, warmup_steps }
    }

    /// Sets the final rate, as a fraction of the rate at which the decay starts.
    #[must_use]
    pub fn with_alpha(mut self, alpha: f64) -> Self {
        self.alpha = alpha;
        self
    }

    /// Adds a warmup from `initial_learning_rate` to `target` before the decay.
    #[must_use]
    pub fn with_warmup(mut self, target: f64, steps: u64) -> Self {
        self.warmup_target = Some(target);
        self.warmup_steps = steps;
        self
    }

    /// Learning rate of a step, counted from 0.
    pub fn at(&self, step: u64) -> f64 {
        let (step, decay_steps) = (step as f32, self.decay_steps as f32);
        let initial = self.initial_learning_rate as f32;
        let Some(target) = self.warmup_target else {
            return self.decayed(step.min(decay_steps), initial);
        };
        let (target, warmup_steps) = (target as f32, self.warmup_steps as f32);
        let step = step.min(decay_steps + warmup_steps);
        if step < warmup_steps {
            return f64::from((target - initial) * (step / warmup_steps) + initial);
        }
        self.decayed(step - warmup_steps, target)
    }

    fn decayed(&self, step: f32, from: f32) -> f64 {
        let completed = step / self.decay_steps as f32;
        let cosine = 0.5 * (1.0 + (PI * completed).cos());
        f64::from(from * ((1.0 - self.alpha) as f32 * cosine + self.alpha as f32))
    }

    /// Checks the arguments.
    ///
    /// # Errors
    ///
    /// [`TaskError::InvalidTrainingArgument`], also for `warmup_steps` without `warmup_target`,
    /// which Keras ignores.
    pub fn validate(&self) -> Result<(), TaskError> {
        let owner = "CosineDecay";
        check_number(owner, "initial_learning_rate", self.initial_learning_rate)?;
        check_steps(owner, "decay_steps", self.decay_steps)?;
        check_number(owner, "alpha", self.alpha)?;
        match self.warmup_target {
            Some(target) => check_number(owner, "warmup_target", target),
            None => {
                let expected = "given with `warmup_steps`";
                check(self.warmup_steps == 0, owner, "warmup_target", expected, "none")
            }
        }
    }
}
