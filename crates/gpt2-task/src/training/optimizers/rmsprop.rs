//! RMSprop.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::rule::{UpdateRule, UpdateStep, elements};
use crate::arguments::{check_fraction, check_positive};
use crate::error::TaskError;

/// Gradients divided by the root of their mean square (`keras/src/optimizers/rmsprop.py`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RmsProp {
    /// Decay of the mean of squared gradients. Default: 0.9.
    pub rho: f64,
    /// Share of the last step that is added to the next one. Default: 0.
    pub momentum: f64,
    /// Small number that keeps the divisor positive. Default: 1e-7.
    pub epsilon: f64,
    /// Whether gradients are divided by their standard deviation: the mean gradient is subtracted.
    /// Default: false.
    pub centered: bool,
}

impl Default for RmsProp {
    fn default() -> Self {
        Self { rho: 0.9, momentum: 0.0, epsilon: 1e-7, centered: false }
    }
}

impl UpdateRule for RmsProp {
    fn name(&self) -> String {
        let Self { rho, momentum, epsilon, centered } = self;
        format!("rmsprop:rho={rho},momentum={momentum},epsilon={epsilon},centered={centered}")
    }

    fn slots(&self, shape: &[usize]) -> Vec<(&'static str, usize)> {
        let momentum = (self.momentum > 0.0).then_some("momentum");
        let average = self.centered.then_some("average_gradient");
        let names = [Some("velocity"), momentum, average];
        names.into_iter().flatten().map(|name| (name, elements(shape))).collect()
    }

    fn update(
        &mut self,
        variable: Tensor<1>,
        gradient: Tensor<1>,
        slots: &mut [Tensor<1>],
        step: UpdateStep<'_>,
    ) -> Tensor<1> {
        let blend = |old: Tensor<1>, new: Tensor<1>| old * self.rho + new * (1.0 - self.rho);
        slots[0].inplace(|velocity| blend(velocity, gradient.clone() * gradient.clone()));
        let mut denominator = slots[0].clone();
        if self.centered {
            let average = slots.last_mut().expect("a centred RMSprop has a mean gradient");
            average.inplace(|average| blend(average, gradient.clone()));
            denominator = denominator - average.clone() * average.clone();
        }
        let root = (denominator + self.epsilon).sqrt();
        let increment = gradient * step.learning_rate / root;
        if self.momentum > 0.0 {
            slots[1].inplace(|momentum| momentum * self.momentum + increment);
            variable - slots[1].clone()
        } else {
            variable - increment
        }
    }

    fn validate(&self) -> Result<(), TaskError> {
        check_fraction("rmsprop", "rho", self.rho)?;
        check_fraction("rmsprop", "momentum", self.momentum)?;
        check_positive("rmsprop", "epsilon", self.epsilon)
    }
}
