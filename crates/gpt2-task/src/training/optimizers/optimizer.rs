//! An optimizer: a rule, and what Keras does around every rule.

use std::collections::{BTreeMap, BTreeSet};

use burn::tensor::Tensor;
use gpt2_backbone::{
    Gpt2Backbone, ParameterGradients, keras_shape, read_f32, update_parameters, visit_tensors,
};
use gpt2_kernels::weight_decay;
use serde::{Deserialize, Serialize};

use super::gradient_clipping::{GradientClipping, global_norm};
use super::loss_scale::LossScale;
use super::rule::{UpdateRule, UpdateStep, elements};
use crate::arguments::{check_fraction, check_positive, invalid};
use crate::error::TaskError;
use crate::training::schedule::learning_rate::LearningRate;

/// An average of the weights over the last steps, which often is better than the last weights.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ExponentialMovingAverage {
    /// Share of the old average that is kept at each step; Keras' default is 0.99.
    pub momentum: f64,
    /// Steps after which the weights become the average; unset for the end of `fit` only.
    pub overwrite_frequency: Option<u64>,
}

/// A rule with its learning rate, weight decay, clipping, accumulation and average.
///
/// ```
/// use gpt2_task::optimizers::{AdamW, Optimizer};
/// use gpt2_task::CosineDecay;
///
/// let schedule = CosineDecay::new(0.0, 1000).with_warmup(1e-3, 100);
/// let optimizer = Optimizer::new(AdamW::default(), schedule)
///     .with_weight_decay(0.1)
///     .excluding_from_weight_decay(["bias", "gamma", "beta"])
///     .with_global_clipnorm(1.0);
/// ```
#[derive(Debug)]
pub struct Optimizer {
    pub(super) rule: Box<dyn UpdateRule>,
    pub(super) learning_rate: LearningRate,
    /// As the optimizer was made, whatever a callback has set since.
    pub(super) given_learning_rate: LearningRate,
    pub(super) weight_decay: Option<f64>,
    pub(super) excluded_from_weight_decay: Vec<String>,
    pub(super) clipping: Option<GradientClipping>,
    pub(super) accumulation_steps: Option<u64>,
    pub(super) ema: Option<ExponentialMovingAverage>,
    pub(super) loss_scale: Option<LossScale>,
    /// Calls of [`apply`](Self::apply), accumulating ones included.
    pub(super) iterations: u64,
    pub(super) variables: BTreeMap<String, VariableState>,
}

/// What is kept for one variable.
#[derive(Debug, Default)]
pub(super) struct VariableState {
    /// Elements of the variable.
    pub(super) size: usize,
    pub(super) slots: Vec<Tensor<1>>,
    pub(super) accumulated: Option<Tensor<1>>,
    pub(super) average: Option<Tensor<1>>,
}

impl Optimizer {
    /// An optimizer with Keras' defaults for all but rule and learning rate.
    pub fn new(rule: impl UpdateRule + 'static, learning_rate: impl Into<LearningRate>) -> Self {
        Self::from_rule(Box::new(rule), learning_rate.into())
    }

    pub(crate) fn from_rule(rule: Box<dyn UpdateRule>, learning_rate: LearningRate) -> Self {
        Self {
            weight_decay: rule.default_weight_decay(),
            rule,
            given_learning_rate: learning_rate.clone(),
            learning_rate,
            excluded_from_weight_decay: Vec::new(),
            clipping: None,
            accumulation_steps: None,
            ema: None,
            loss_scale: None,
            iterations: 0,
            variables: BTreeMap::new(),
        }
    }

    /// Replaces the learning rate, by a number or a schedule.
    #[must_use]
    pub fn with_learning_rate(mut self, learning_rate: impl Into<LearningRate>) -> Self {
        self.learning_rate = learning_rate.into();
        self.given_learning_rate = self.learning_rate.clone();
        self
    }

    /// Shrinks every variable by this share, times the learning rate, at every step.
    #[must_use]
    pub fn with_weight_decay(mut self, weight_decay: f64) -> Self {
        self.weight_decay = Some(weight_decay);
        self
    }

    /// Exempts variables from weight decay whose name (the last part of the path: `kernel`,
    /// `bias`, `gamma`, `beta`, `embeddings`, …) contains one of these texts. In Keras each text
    /// is a regular expression.
    #[must_use]
    pub fn excluding_from_weight_decay<S: Into<String>>(
        mut self,
        names: impl IntoIterator<Item = S>,
    ) -> Self {
        self.excluded_from_weight_decay = names.into_iter().map(Into::into).collect();
        self
    }

    /// Bounds the norm of each variable's gradient. Replaces the other two ways of clipping.
    #[must_use]
    pub fn with_clipnorm(mut self, clipnorm: f64) -> Self {
        self.clipping = Some(GradientClipping::ClipNorm(clipnorm));
        self
    }

    /// Bounds the norm of all gradients together. Replaces the other two ways of clipping.
    #[must_use]
    pub fn with_global_clipnorm(mut self, global_clipnorm: f64) -> Self {
        self.clipping = Some(GradientClipping::GlobalClipNorm(global_clipnorm));
        self
    }

    /// Bounds every element of a gradient. Replaces the other two ways of clipping.
    #[must_use]
    pub fn with_clipvalue(mut self, clipvalue: f64) -> Self {
        self.clipping = Some(GradientClipping::ClipValue(clipvalue));
        self
    }

    /// Updates the weights once in so many batches, with the mean of their gradients.
    ///
    /// As in Keras, a learning-rate schedule counts batches, the rule counts updates.
    #[must_use]
    pub fn with_gradient_accumulation_steps(mut self, steps: u64) -> Self {
        self.accumulation_steps = Some(steps);
        self
    }

    /// Keeps an average of the weights, which `fit` puts in their place at its end.
    #[must_use]
    pub fn with_ema(mut self, ema: ExponentialMovingAverage) -> Self {
        self.ema = Some(ema);
        self
    }

    /// Scales the loss, for training in float16.
    #[must_use]
    pub fn with_loss_scale(mut self, loss_scale: LossScale) -> Self {
        self.loss_scale = Some(loss_scale);
        self
    }

    /// Sets a loss scale where there is none.
    pub(crate) fn default_loss_scale(&mut self, loss_scale: LossScale) {
        self.loss_scale.get_or_insert(loss_scale);
    }

    /// The rule's name and arguments.
    pub fn name(&self) -> String {
        self.rule.name()
    }

    /// Batches seen so far.
    pub fn iterations(&self) -> u64 {
        self.iterations
    }

    /// The learning rate of the next step.
    pub fn learning_rate(&self) -> f64 {
        self.learning_rate.at(self.iterations)
    }

    /// Sets a constant learning rate.
    ///
    /// # Errors
    ///
    /// [`TaskError::InvalidTrainingArgument`] if a schedule sets it, or if it is negative.
    pub fn set_learning_rate(&mut self, learning_rate: f64) -> Result<(), TaskError> {
        if !matches!(self.learning_rate, LearningRate::Constant { .. }) {
            let expected = "left to the schedule that the optimizer was made with";
            return Err(invalid(&self.name(), "learning_rate", expected, learning_rate));
        }
        let learning_rate = LearningRate::from(learning_rate);
        learning_rate.validate()?;
        self.learning_rate = learning_rate;
        Ok(())
    }

    /// Refuses arguments that are out of range.
    ///
    /// # Errors
    ///
    /// [`TaskError::InvalidTrainingArgument`].
    pub fn validate(&self) -> Result<(), TaskError> {
        let name = self.name();
        self.rule.validate()?;
        self.learning_rate.validate()?;
        match self.weight_decay {
            Some(decay) if !(decay >= 0.0 && decay.is_finite()) => {
                return Err(invalid(&name, "weight_decay", "at least 0", decay));
            }
            _ => {}
        }
        if let Some(clipping) = self.clipping {
            check_positive(&name, "clipnorm, global_clipnorm or clipvalue", clipping.bound())?;
        }
        if self.accumulation_steps == Some(0) {
            return Err(invalid(&name, "gradient_accumulation_steps", "at least 1", 0));
        }
        if let Some(ema) = self.ema {
            check_fraction(&name, "ema_momentum", ema.momentum)?;
            if ema.overwrite_frequency == Some(0) {
                return Err(invalid(&name, "ema_overwrite_frequency", "at least 1", 0));
            }
        }
        if let Some(scale) = self.loss_scale {
            check_positive(&name, "loss_scale", scale.factor())?;
        }
        Ok(())
    }

    /// The factor by which the loss is multiplied before its gradients are computed.
    pub fn loss_scale_factor(&self) -> f64 {
        self.loss_scale.map_or(1.0, LossScale::factor)
    }

    /// Changes a model by the gradients of one batch: Keras' `apply`.
    ///
    /// The gradients are those of the loss times [`loss_scale_factor`](Self::loss_scale_factor).
    /// A parameter without gradient stays as it is. Weights and slots are written in place where
    /// the caller holds no other reference to them.
    ///
    /// The model comes back in any case, and unchanged where the device could not tell whether the
    /// gradients are finite; without a loss scale it is not asked.
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

    /// Divides by the loss scale; false if the gradients are of no use.
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

    /// Collects gradients; true when they are to be used, and are their mean.
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

    /// Updates of the weights so far.
    fn updates(&self) -> u64 {
        self.iterations / self.accumulation_steps.unwrap_or(1)
    }

    fn decays(&self, path: &str) -> bool {
        let name = path.rsplit_once('.').map_or(path, |(_, name)| name);
        !self.excluded_from_weight_decay.iter().any(|text| name.contains(text))
    }

    /// Brings the averages up to date, and puts them in the weights' place when it is time.
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

    /// Puts the averages in the weights' place, at the end of a training: Keras'
    /// `finalize_variable_values`. Without [`with_ema`](Self::with_ema) nothing changes.
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

    /// Forgets what it keeps for parameters that the model does not have any more, or has in
    /// another size.
    pub(crate) fn forget_others(&mut self, backbone: &Gpt2Backbone) {
        let mut sizes = BTreeMap::new();
        visit_tensors(backbone, |path, parameter| {
            sizes.insert(path.to_owned(), elements(&parameter.shape));
        });
        self.variables.retain(|path, state| sizes.get(path) == Some(&state.size));
        let variables = &self.variables;
        self.rule.retain(&|path| variables.contains_key(path));
    }

    /// The average of a parameter's values, if one is kept.
    pub fn average_of(&self, path: &str) -> Option<Tensor<1>> {
        self.variables.get(path)?.average.clone()
    }
}

/// What is kept for a variable, which begins as nothing.
fn state_of<'a>(
    variables: &'a mut BTreeMap<String, VariableState>,
    path: &str,
    variable: &Tensor<1>,
) -> &'a mut VariableState {
    let state = variables.entry(path.to_owned()).or_default();
    state.size = variable.dims()[0];
    state
}

/// Keras' default for `compile`: Adam with a learning rate of 2e-5.
impl Default for Optimizer {
    fn default() -> Self {
        Self::new(super::Adam::default(), 2e-5)
    }
}
