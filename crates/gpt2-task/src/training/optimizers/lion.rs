//! Lion.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::rule::{UpdateRule, UpdateStep, elements};
use crate::arguments::check_fraction;
use crate::error::TaskError;

/// Lion: steps of equal size, in the direction of the sign of the momentum
/// ([Chen et al., 2023](https://arxiv.org/abs/2302.06675); `keras/src/optimizers/lion.py`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lion {
    /// Share of the momentum in the step. Default: 0.9.
    pub beta_1: f64,
    /// Decay of the momentum. Default: 0.99.
    pub beta_2: f64,
}

impl Default for Lion {
    fn default() -> Self {
        Self { beta_1: 0.9, beta_2: 0.99 }
    }
}

impl UpdateRule for Lion {
    fn name(&self) -> String {
        format!("lion:beta_1={},beta_2={}", self.beta_1, self.beta_2)
    }

    fn slots(&self, shape: &[usize]) -> Vec<(&'static str, usize)> {
        vec![("momentum", elements(shape))]
    }

    fn update(
        &mut self,
        variable: Tensor<1>,
        gradient: Tensor<1>,
        slots: &mut [Tensor<1>],
        step: UpdateStep<'_>,
    ) -> Tensor<1> {
        // As in Keras, the betas are rounded to 32 bits before the subtraction.
        let (beta_1, beta_2) = (self.beta_1 as f32, self.beta_2 as f32);
        let blend = slots[0].clone() * beta_1 + gradient.clone() * (1.0 - beta_1);
        slots[0].inplace(|momentum| momentum * beta_2 + gradient * (1.0 - beta_2));
        variable - blend.sign() * step.learning_rate
    }

    fn validate(&self) -> Result<(), TaskError> {
        check_fraction("lion", "beta_1", self.beta_1)?;
        check_fraction("lion", "beta_2", self.beta_2)
    }
}
