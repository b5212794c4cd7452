//! Optimizer step: unscales, accumulates and clips gradients, applies the rule, and updates the
//! average.

use std::collections::{BTreeMap, BTreeSet};

use burn::tensor::Tensor;
use gpt2_backbone::{
    Gpt2Backbone, ParameterGradients, keras_shape, read_f32, update_parameters, visit_tensors,
};
use gpt2_kernels::weight_decay;

use super::gradient_clipping::global_norm;
use super::optimizer::{Optimizer, VariableState};
use super::rule::{UpdateStep, elements};
use crate::error::TaskError;

impl Optimizer {
    /// Updates a model with the gradients of one batch: Keras' `apply`.
    ///
    /// The gradients are those of the loss times [`loss_scale_factor`](Self::loss_scale_factor). A
    /// parameter without a gradient stays unchanged. Weights and slots are written in place if the
    /// caller holds no other reference to them.
    ///
    /// Always returns the model. With a loss scale, the model is unchanged if a gradient is not
    /// finite, or if reading the gradients' norm from the device fails. Without one, the norm is
    /// not read.
    pub fn apply(
        &mut self,
        backbone: Gpt2Backbone,
        mut gradients: ParameterGradients,
    ) -> (Gpt2Backbone, Result<(), TaskError>) {
        match self.unscale(&mut gradients) {
            Ok(true) => {}
            Ok(false) => return (backbone, Ok(())),
            Err(error) => return (backbone, Err(error)),
        }
        let updated = match self.accumulate(&mut gradients) {
            true => self.update(backbone, gradients),
            false => backbone,
        };
        let updated = self.average(updated);
        self.iterations += 1;
        (updated, Ok(()))
    }

    /// Divides gradients by the loss scale. Returns false if one of them is not finite.
    fn unscale(&mut self, gradients: &mut ParameterGradients) -> Result<bool, TaskError> {
        let Some(scale) = &mut self.loss_scale else { return Ok(true) };
        let factor = scale.factor();
        let norm = global_norm(gradients).map(read_f32).transpose()?;
        if !scale.accept(norm.iter().flatten().all(|norm| norm.is_finite())) {
            return Ok(false);
        }
        for gradient in gradients.values_mut() {
            gradient.inplace(|gradient| gradient / factor);
        }
        Ok(true)
    }

    /// Accumulates gradients. Returns true if `gradients` are now the mean to update with.
    fn accumulate(&mut self, gradients: &mut ParameterGradients) -> bool {
        let Some(steps) = self.accumulation_steps else { return true };
        let last = (self.iterations + 1).is_multiple_of(steps);
        for (path, gradient) in gradients.iter_mut() {
            let state = state_of(&mut self.variables, path, gradient);
            let sum = match state.accumulated.take() {
                Some(accumulated) => gradient.clone() + accumulated,
                None => gradient.clone(),
            };
            if last {
                *gradient = sum / steps as f64;
            } else {
                state.accumulated = Some(sum);
            }
        }
        last
    }

    fn update(
        &mut self,
        backbone: Gpt2Backbone,
        mut gradients: ParameterGradients,
    ) -> Gpt2Backbone {
        if let Some(clipping) = self.clipping {
            clipping.apply(&mut gradients);
        }
        let learning_rate = self.learning_rate() as f32;
        let step = (self.updates() + 1) as f32;
        let config = backbone.config().clone();
        update_parameters(backbone, |path, shape, variable| {
            let Some(gradient) = gradients.remove(path) else { return variable };
            let variable = match self.weight_decay {
                Some(decay) if self.decays(path) => weight_decay(variable, decay, learning_rate),
                _ => variable,
            };
            let keras_shape = keras_shape(&config, path, shape);
            let state = state_of(&mut self.variables, path, &variable);
            if state.slots.is_empty() {
                let slots = self.rule.slots(&keras_shape).into_iter();
                let device = variable.device();
                state.slots = slots.map(|(_, count)| Tensor::zeros([count], &device)).collect();
            }
            let step = UpdateStep { learning_rate, step, path, shape, keras_shape: &keras_shape };
            self.rule.update(variable, gradient, &mut state.slots, step)
        })
    }

    /// Number of updates of the weights so far.
    fn updates(&self) -> u64 {
        self.iterations / self.accumulation_steps.unwrap_or(1)
    }

    fn decays(&self, path: &str) -> bool {
        let name = path.rsplit_once('.').map_or(path, |(_, name)| name);
        !self.excluded_from_weight_decay.iter().any(|text| name.contains(text))
    }

    /// Updates the averages, and replaces the weights with them every `overwrite_frequency` steps.
    fn average(&mut self, backbone: Gpt2Backbone) -> Gpt2Backbone {
        let Some(ema) = self.ema else { return backbone };
        let updates = self.updates();
        let overwrite = ema.overwrite_frequency.is_some_and(|n| (updates + 1).is_multiple_of(n));
        // The first average is the weights themselves.
        let momentum = if updates == 0 { 0.0 } else { ema.momentum as f32 };
        let trainable: BTreeSet<_> = backbone.trainable_parameters().into_iter().collect();
        update_parameters(backbone, |path, _, variable| {
            if !trainable.contains(path) {
                return variable;
            }
            let state = state_of(&mut self.variables, path, &variable);
            let new = variable.clone() * (1.0 - momentum);
            let average = match state.average.take() {
                Some(average) => average * momentum + new,
                None => new,
            };
            state.average = Some(average.clone());
            if overwrite { average } else { variable }
        })
    }

    /// Replaces the weights with their averages at the end of a training: Keras'
    /// `finalize_variable_values`. Without [`with_ema`](Self::with_ema), nothing changes.
    pub fn finalize_variable_values(&self, backbone: Gpt2Backbone) -> Gpt2Backbone {
        if self.ema.is_none() {
            return backbone;
        }
        let trainable: BTreeSet<_> = backbone.trainable_parameters().into_iter().collect();
        update_parameters(backbone, |path, _, variable| {
            let state = self.variables.get(path).filter(|_| trainable.contains(path));
            state.and_then(|state| state.average.clone()).unwrap_or(variable)
        })
    }

    /// Drops the state of parameters that the model no longer has, or has with another size.
    pub(crate) fn forget_others(&mut self, backbone: &Gpt2Backbone) {
        let mut sizes = BTreeMap::new();
        visit_tensors(backbone, |path, parameter| {
            sizes.insert(path.to_owned(), elements(&parameter.shape));
        });
        self.variables.retain(|path, state| sizes.get(path) == Some(&state.size));
        let variables = &self.variables;
        self.rule.retain(&|path| variables.contains_key(path));
    }
}

/// State of a variable, empty at first.
fn state_of<'a>(
    variables: &'a mut BTreeMap<String, VariableState>,
    path: &str,
    variable: &Tensor<1>,
) -> &'a mut VariableState {
    let state = variables.entry(path.to_owned()).or_default();
    state.size = variable.dims()[0];
    state
}

#[cfg(test)]
#[cfg(feature = "flex")]
mod tests {
    use burn::backend::Flex;
    use gpt2_backbone::{Gpt2Backbone, ParameterGradients, visit_tensors};

    use super::*;
    use crate::testing::model;
    use crate::training::optimizers::adam::AdamW;

    /// Addresses of the values of every tensor in a training.
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
            // The first step creates the slots.
            assert!(step == 0 || after == before, "step {step}");
            before = after;
        }
    }
}
