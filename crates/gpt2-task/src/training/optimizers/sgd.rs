//! Stochastic gradient descent.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::rule::{UpdateRule, UpdateStep, elements};
use crate::arguments::check_fraction;
use crate::error::TaskError;

/// Gradient descent, with or without momentum (`keras/src/optimizers/sgd.py`).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sgd {
    /// Share of the last step that is added to the next one. Default: 0.
    pub momentum: f64,
    /// Whether the momentum looks one step ahead (Nesterov). Default: false.
    pub nesterov: bool,
}

impl UpdateRule for Sgd {
    fn name(&self) -> String {
        format!("sgd:momentum={},nesterov={}", self.momentum, self.nesterov)
    }

    fn slots(&self, shape: &[usize]) -> Vec<(&'static str, usize)> {
        if self.momentum == 0.0 { Vec::new() } else { vec![("momentum", elements(shape))] }
    }

    fn update(
        &mut self,
        variable: Tensor<1>,
        gradient: Tensor<1>,
        slots: &mut [Tensor<1>],
        step: UpdateStep<'_>,
    ) -> Tensor<1> {
        let descent = gradient * step.learning_rate;
        let [momentum] = slots else { return variable - descent };
        momentum.inplace(|momentum| momentum * self.momentum - descent.clone());
        if self.nesterov {
            variable + (momentum.clone() * self.momentum - descent)
        } else {
            variable + momentum.clone()
        }
    }

    fn validate(&self) -> Result<(), TaskError> {
        check_fraction("sgd", "momentum", self.momentum)
    }
}
