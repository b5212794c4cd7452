//! Adam and AdamW.

use burn::tensor::Tensor;
use gpt2_kernels::{AdamStep, adam};
use serde::{Deserialize, Serialize};

use super::rule::{UpdateRule, UpdateStep, elements};
use crate::arguments::{check_fraction, check_positive};
use crate::error::TaskError;

/// Adam ([Kingma and Ba, 2014](https://arxiv.org/abs/1412.6980); `keras/src/optimizers/adam.py`).
///
/// Keras adds `epsilon` before the bias of the second moment is corrected, other libraries after.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Adam {
    /// Decay of the mean of gradients: 0.9.
    pub beta_1: f64,
    /// Decay of the mean of squared gradients: 0.999.
    pub beta_2: f64,
    /// Keeps the divisor above zero: 1e-7.
    pub epsilon: f64,
    /// Whether the largest second moment so far is used.
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
        // In 32-bit floats as Keras: 1 - 0.999 alone differs there in the fifth digit.
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

/// Adam with a weight decay of 0.004 unless told otherwise
/// ([Loshchilov and Hutter, 2017](https://arxiv.org/abs/1711.05101); `keras/src/optimizers/adamw.py`).
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

#[cfg(test)]
#[cfg(feature = "flex")]
mod tests {
    use burn::backend::Flex;
    use gpt2_backbone::{Gpt2Backbone, ParameterGradients, visit_tensors};

    use super::*;
    use crate::testing::model;
    use crate::training::optimizers::optimizer::Optimizer;

    /// Where the values of every tensor of a training are.
    fn addresses(backbone: &Gpt2Backbone, optimizer: &Optimizer) -> Vec<*const u8> {
        let mut addresses = Vec::new();
        let mut add = |tensor: Tensor<1>| {
            let tensor = tensor.try_into_primitive::<Flex>().expect("the model is on flex");
            addresses.push(tensor.bytes().as_ptr());
        };
        visit_tensors(backbone, |_, parameter| add(parameter.values));
        let states = optimizer.variables.values();
        states.flat_map(|state| &state.slots).cloned().for_each(add);
        addresses
    }

    #[test]
    fn weights_and_slots_are_written_in_place() {
        let mut backbone = model().into_backbone();
        let mut optimizer = Optimizer::new(AdamW::default(), 1e-3);
        let mut before = Vec::new();
        for step in 0..3 {
            let mut gradients = ParameterGradients::new();
            visit_tensors(&backbone, |path, parameter| {
                gradients.insert(path.to_owned(), parameter.values.ones_like());
            });
            (backbone, _) = optimizer.apply(backbone, gradients);
            let after = addresses(&backbone, &optimizer);
            // The slots are made in the first step.
            assert!(step == 0 || after == before, "step {step}");
            before = after;
        }
    }
}
