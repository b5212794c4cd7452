//! Loss scale: a factor that keeps small gradients from underflow in 16-bit floats.

use serde::{Deserialize, Serialize};

/// Factor of the loss before its gradients are computed. The gradients are divided by it before
/// use.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossScale {
    /// Constant factor: Keras' `loss_scale_factor`.
    Fixed(f64),
    /// Factor that is halved when a gradient is not finite, and doubled after a number of steps
    /// with finite gradients (`keras/src/optimizers/loss_scale_optimizer.py`).
    Dynamic {
        /// Current factor, 32,768 at first.
        scale: f64,
        /// Steps with finite gradients after which the factor is doubled. Default: 2,000.
        growth_steps: u64,
        /// Steps since the last change.
        steps: u64,
    },
}

impl LossScale {
    /// Keras' dynamic scale.
    pub fn dynamic() -> Self {
        Self::Dynamic { scale: 32_768.0, growth_steps: 2000, steps: 0 }
    }

    /// Factor of the next step.
    pub fn factor(self) -> f64 {
        match self {
            Self::Fixed(scale) | Self::Dynamic { scale, .. } => scale,
        }
    }

    /// Adapts the factor to the gradients of a step. Returns false if the step must be skipped.
    pub(crate) fn accept(&mut self, finite: bool) -> bool {
        let Self::Dynamic { scale, growth_steps, steps } = self else { return true };
        if !finite {
            *scale *= 0.5;
            *steps = 0;
        } else if *steps + 1 >= *growth_steps {
            *scale *= 2.0;
            *steps = 0;
        } else {
            *steps += 1;
        }
        finite
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_falls_at_once_and_grows_with_patience() {
        let mut scale = LossScale::Dynamic { scale: 8.0, growth_steps: 3, steps: 0 };
        let mut factors = Vec::new();
        for finite in [true, true, true, false, true, false, true, true, true] {
            assert_eq!(scale.accept(finite), finite);
            factors.push(scale.factor());
        }
        assert_eq!(factors, [8.0, 8.0, 16.0, 8.0, 8.0, 4.0, 4.0, 4.0, 8.0]);
    }

    #[test]
    fn a_fixed_scale_stays() {
        let mut scale = LossScale::Fixed(128.0);
        assert!(scale.accept(false));
        assert_eq!(scale.factor(), 128.0);
    }
}
