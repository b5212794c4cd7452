//! Adafactor.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::rule::{UpdateRule, UpdateStep, elements};
use crate::arguments::check_positive;
use crate::error::TaskError;

/// Adafactor: second moments of rows and columns instead of every element
/// ([Shazeer and Stern, 2018](https://arxiv.org/abs/1804.04235);
/// `keras/src/optimizers/adafactor.py`).
///
/// Rows and columns are the last two axes in Keras. For queries, keys and values, each head
/// therefore has its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Adafactor {
    /// Exponent of the decay of second moments. Default: -0.8.
    pub beta_2_decay: f64,
    /// Added to squared gradients. Default: 1e-30.
    pub epsilon_1: f64,
    /// Lower bound of a variable's root mean square, which scales the step. Default: 1e-3.
    pub epsilon_2: f64,
    /// Largest root mean square of an update. Default: 1.
    pub clip_threshold: f64,
}

impl Default for Adafactor {
    fn default() -> Self {
        Self { beta_2_decay: -0.8, epsilon_1: 1e-30, epsilon_2: 1e-3, clip_threshold: 1.0 }
    }
}

/// Shape as `[others, rows, columns]`. None for fewer than two axes.
fn factors(shape: &[usize]) -> Option<[usize; 3]> {
    match shape {
        [others @ .., rows, columns] => Some([elements(others), *rows, *columns]),
        _ => None,
    }
}

fn root_mean_square(tensor: Tensor<1>) -> Tensor<1> {
    (tensor.clone() * tensor).mean().sqrt()
}

impl Adafactor {
    /// Second moments of all elements after this step.
    fn velocity(
        &self,
        gradient: &Tensor<1>,
        slots: &mut [Tensor<1>],
        step: UpdateStep<'_>,
    ) -> Tensor<1> {
        let beta_2 = 1.0 - step.step.powf(self.beta_2_decay as f32);
        let blend = |old: Tensor<1>, new: Tensor<1>| old * beta_2 + new * (1.0 - beta_2);
        let square = gradient.clone() * gradient.clone() + self.epsilon_1;
        let Some([others, rows, columns]) = factors(step.keras_shape) else {
            slots[0].inplace(|velocity| blend(velocity, square));
            return slots[0].clone();
        };
        let square = square.reshape([others, rows, columns]);
        let mean = |axis| square.clone().mean_dim(axis).reshape([-1]);
        slots[0].inplace(|row| blend(row, mean(2)));
        slots[1].inplace(|column| blend(column, mean(1)));
        let row = slots[0].clone().reshape([others, rows, 1]);
        let row = row.clone() / row.mean_dim(1);
        (row * slots[1].clone().reshape([others, 1, columns])).reshape([-1])
    }
}

impl UpdateRule for Adafactor {
    fn name(&self) -> String {
        let Self { beta_2_decay, epsilon_1, epsilon_2, clip_threshold } = self;
        format!(
            "adafactor:beta_2_decay={beta_2_decay},epsilon_1={epsilon_1},epsilon_2={epsilon_2},clip_threshold={clip_threshold}"
        )
    }

    fn slots(&self, shape: &[usize]) -> Vec<(&'static str, usize)> {
        match factors(shape) {
            Some([others, rows, columns]) => vec![("r", others * rows), ("c", others * columns)],
            None => vec![("velocity", elements(shape))],
        }
    }

    fn update(
        &mut self,
        variable: Tensor<1>,
        gradient: Tensor<1>,
        slots: &mut [Tensor<1>],
        step: UpdateStep<'_>,
    ) -> Tensor<1> {
        let rho = step.learning_rate.min(1.0 / step.step.sqrt());
        let alpha = root_mean_square(variable.clone()).clamp_min(self.epsilon_2) * rho;
        let velocity = self.velocity(&gradient, slots, step);
        let update = gradient / velocity.sqrt();
        let clip = (root_mean_square(update.clone()) / self.clip_threshold).clamp_min(1.0);
        variable - update / clip * alpha
    }

    fn validate(&self) -> Result<(), TaskError> {
        check_positive("adafactor", "epsilon_1", self.epsilon_1)?;
        check_positive("adafactor", "epsilon_2", self.epsilon_2)?;
        check_positive("adafactor", "clip_threshold", self.clip_threshold)
    }
}
