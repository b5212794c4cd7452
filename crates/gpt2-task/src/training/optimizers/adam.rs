//! Adam and AdamW.

use burn::tensor::Tensor;
use gpt2_kernels::{AdamStep, adam};
use serde::{Deserialize, Serialize};

use super::rule::{UpdateRule, UpdateStep, elements};
use crate::arguments::{check_fraction, check_positive};
use crate::error::TaskError;

/// Adam ([Kingma and Ba, 2014](https://arxiv.org/abs/1412.6980); `keras/src/optimizers/adam.py`).
///
/// Keras adds `epsilon` before the bias correction of the second moment, other libraries after it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Adam {
    /// Decay of the mean of gradients. Default: 0.9.
    pub beta_1: f64,
    /// Decay of the mean of squared gradients. Default: 0.999.
    pub beta_2: f64,
    /// Small number that keeps the divisor positive. Default: 1e-7.
    pub epsilon: f64,
    /// Whether the largest second moment so far is used. Default: false.
    pub amsgrad: bool,
}

impl Default for Adam {
    fn default() -> Self {
        Self { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-7, amsgrad: false }
    }
}

impl UpdateRule for Adam {
    fn name(&self) -> String {
        let Self { beta_1, beta_2, epsilon, amsgrad } = self;
        format!("adam:beta_1={beta_1},beta_2={beta_2},epsilon={epsilon},amsgrad={amsgrad}")
    }

    fn slots(&self, shape: &[usize]) -> Vec<(&'static str, usize)> {
        let names = ["momentum", "velocity", "velocity_hat"];
        let count = if self.amsgrad { 3 } else { 2 };
        names[..count].iter().map(|name| (*name, elements(shape))).collect()
    }

    fn update(
        &mut self,
        variable: Tensor<1>,
        gradient: Tensor<1>,
        slots: &mut [Tensor<1>],
        step: UpdateStep<'_>,
    ) -> Tensor<1> {
        // In 32-bit floats as in Keras, where 1 - 0.999 differs in the fifth digit.
        let power = |beta: f64| (beta as f32).powf(step.step);
        let correction = (1.0 - power(self.beta_2)).sqrt() / (1.0 - power(self.beta_1));
        let alpha = step.learning_rate * correction;
        let Self { beta_1, beta_2, epsilon, .. } = *self;
        adam(variable, gradient, slots, AdamStep { beta_1, beta_2, epsilon, alpha })
    }

    fn validate(&self) -> Result<(), TaskError> {
        check_fraction("adam", "beta_1", self.beta_1)?;
        check_fraction("adam", "beta_2", self.beta_2)?;
        check_positive("adam", "epsilon", self.epsilon)
    }
}

/// Adam with weight decay, 0.004 by default
/// ([Loshchilov and Hutter, 2017](https://arxiv.org/abs/1711.05101);
/// `keras/src/optimizers/adamw.py`).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AdamW(pub Adam);

impl UpdateRule for AdamW {
    fn name(&self) -> String {
        self.0.name().replacen("adam", "adamw", 1)
    }

    fn slots(&self, shape: &[usize]) -> Vec<(&'static str, usize)> {
        self.0.slots(shape)
    }

    fn update(
        &mut self,
        variable: Tensor<1>,
        gradient: Tensor<1>,
        slots: &mut [Tensor<1>],
        step: UpdateStep<'_>,
    ) -> Tensor<1> {
        self.0.update(variable, gradient, slots, step)
    }

    fn default_weight_decay(&self) -> Option<f64> {
        Some(0.004)
    }

    fn validate(&self) -> Result<(), TaskError> {
        self.0.validate()
    }
}
