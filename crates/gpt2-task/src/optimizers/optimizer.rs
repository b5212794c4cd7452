//! An optimizer: a rule, and what Keras does around every rule.

use std::collections::{BTreeMap, BTreeSet};

use burn::tensor::{Device, Tensor};
use gpt2_backbone::{
    Gpt2Backbone, ParameterGradients, keras_shape, update_parameters, visit_tensors,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::gradient_clipping::{GradientClipping, global_norm};
use super::loss_scale::LossScale;
use super::rule::{
    RuleState, UpdateRule, UpdateStep, check_fraction, check_positive, elements, invalid,
};
use crate::{LearningRate, TaskError};

/// In front of the names of what a rule keeps besides its slots. No path begins like this.
const RULE: &str = "~rule/";

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
    rule: Box<dyn UpdateRule>,
    learning_rate: LearningRate,
    weight_decay: Option<f64>,
    excluded_from_weight_decay: Vec<String>,
    clipping: Option<GradientClipping>,
    accumulation_steps: Option<u64>,
    ema: Option<ExponentialMovingAverage>,
    loss_scale: Option<LossScale>,
    /// Calls of [`apply`](Self::apply), accumulating ones included.
    iterations: u64,
    variables: BTreeMap<String, VariableState>,
}

/// What is kept for one variable.
#[derive(Debug, Default)]
struct VariableState {
    slots: Vec<Tensor<1>>,
    accumulated: Option<Tensor<1>>,
    average: Option<Tensor<1>>,
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
    pub fn apply(
        &mut self,
        backbone: Gpt2Backbone,
        mut gradients: ParameterGradients,
    ) -> Gpt2Backbone {
        if !self.unscale(&mut gradients) {
            return backbone;
        }
        let updated = match self.accumulate(&mut gradients) {
            true => self.update(backbone, gradients),
            false => backbone,
        };
        let updated = self.average(updated);
        self.iterations += 1;
        updated
    }

    /// Divides by the loss scale; false if the gradients are of no use.
    fn unscale(&mut self, gradients: &mut ParameterGradients) -> bool {
        let Some(scale) = &mut self.loss_scale else { return true };
        let factor = scale.factor();
        let finite = match global_norm(gradients) {
            Some(norm) => norm.into_scalar::<f32>().is_finite(),
            None => true,
        };
        if !scale.accept(finite) {
            return false;
        }
        for gradient in gradients.values_mut() {
            gradient.inplace(|gradient| gradient / factor);
        }
        true
    }

    /// Collects gradients; true when they are to be used, and are their mean.
    fn accumulate(&mut self, gradients: &mut ParameterGradients) -> bool {
        let Some(steps) = self.accumulation_steps else { return true };
        let last = (self.iterations + 1).is_multiple_of(steps);
        for (path, gradient) in gradients.iter_mut() {
            let state = self.variables.entry(path.clone()).or_default();
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
                Some(decay) if self.decays(path) => {
                    variable.clone() - variable * decay * learning_rate
                }
                _ => variable,
            };
            let keras_shape = keras_shape(&config, path, shape);
            let state = self.variables.entry(path.to_owned()).or_default();
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
            let state = self.variables.entry(path.to_owned()).or_default();
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
        update_parameters(backbone, |path, _, variable| {
            let average = self.variables.get(path).and_then(|state| state.average.clone());
            average.unwrap_or(variable)
        })
    }

    /// The average of a parameter's values, if one is kept.
    pub fn average_of(&self, path: &str) -> Option<Tensor<1>> {
        self.variables.get(path)?.average.clone()
    }

    /// Settings and counters, for a checkpoint.
    pub(crate) fn state(&self) -> Value {
        json!({
            "rule": self.rule.name(),
            "learning_rate": self.learning_rate,
            "weight_decay": self.weight_decay,
            "excluded_from_weight_decay": self.excluded_from_weight_decay,
            "clipping": self.clipping,
            "accumulation_steps": self.accumulation_steps,
            "ema": self.ema,
        })
    }

    /// What the rule keeps besides its slots.
    pub(crate) fn rule_state(&self, device: &Device) -> RuleState {
        self.rule.state(device)
    }

    /// What changes from step to step, besides the tensors.
    pub(crate) fn counters(&self, rule: &RuleState) -> Value {
        json!({
            "iterations": self.iterations,
            "loss_scale": self.loss_scale,
            "learning_rate": self.learning_rate,
            "rule": rule.json,
        })
    }

    /// All tensors, under the path of their variable and their own name.
    pub(crate) fn tensors(
        &self,
        rule: RuleState,
        backbone: &Gpt2Backbone,
    ) -> BTreeMap<String, Tensor<1>> {
        let mut tensors = BTreeMap::new();
        let config = backbone.config();
        visit_tensors(backbone, |path, parameter| {
            let Some(state) = self.variables.get(path) else { return };
            let slots = self.rule.slots(&keras_shape(config, path, &parameter.shape));
            let named = slots.iter().map(|(name, _)| *name).zip(&state.slots);
            let others = [("accumulated", &state.accumulated), ("average", &state.average)];
            let others = others.into_iter().filter_map(|(n, tensor)| Some((n, tensor.as_ref()?)));
            for (name, tensor) in named.chain(others) {
                tensors.insert(format!("{path}/{name}"), tensor.clone());
            }
        });
        let own = rule.tensors.into_iter();
        tensors.extend(own.map(|(name, tensor)| (format!("{RULE}{name}"), tensor)));
        tensors
    }

    /// Takes what [`counters`](Self::counters) and [`tensors`](Self::tensors) gave.
    ///
    /// # Errors
    ///
    /// [`TaskError::ResumeMismatch`] for tensors that this optimizer and model do not have.
    pub(crate) fn restore(
        &mut self,
        counters: &Value,
        mut tensors: BTreeMap<String, Tensor<1>>,
        backbone: &Gpt2Backbone,
    ) -> Result<(), TaskError> {
        #[derive(Deserialize)]
        struct Counters {
            iterations: u64,
            loss_scale: Option<LossScale>,
            learning_rate: LearningRate,
            rule: Value,
        }
        let mismatch = |what: String| TaskError::ResumeMismatch { what };
        let counters: Counters = serde_json::from_value(counters.clone())
            .map_err(|error| mismatch(format!("the optimizer's counters ({error})")))?;
        let mut variables = BTreeMap::new();
        let mut problem = None;
        let config = backbone.config();
        visit_tensors(backbone, |path, parameter| {
            let shape = keras_shape(config, path, &parameter.shape);
            let mut take = |name: &str, count: usize| {
                let tensor = tensors.remove(&format!("{path}/{name}"))?;
                if tensor.dims() != [count] {
                    problem = Some(format!("the size of `{path}/{name}`"));
                }
                Some(tensor)
            };
            let slots: Vec<_> =
                self.rule.slots(&shape).into_iter().filter_map(|(n, c)| take(n, c)).collect();
            let count = elements(&shape);
            let (accumulated, average) = (take("accumulated", count), take("average", count));
            if !slots.is_empty() || accumulated.is_some() || average.is_some() {
                variables.insert(path.to_owned(), VariableState { slots, accumulated, average });
            }
        });
        let own = tensors.split_off(RULE).into_iter();
        let own =
            own.filter_map(|(name, tensor)| Some((name.strip_prefix(RULE)?.to_owned(), tensor)));
        let own = RuleState { tensors: own.collect(), json: counters.rule };
        if let Some(name) = tensors.keys().next() {
            problem = Some(format!("the tensor `{name}`, which the model does not have"));
        }
        match problem {
            Some(what) => Err(mismatch(what)),
            None if !self.rule.restore(own, &backbone.device()) => {
                Err(mismatch("the state of the optimizer".to_owned()))
            }
            None => {
                self.variables = variables;
                self.iterations = counters.iterations;
                self.loss_scale = counters.loss_scale;
                self.learning_rate = counters.learning_rate;
                Ok(())
            }
        }
    }
}

/// Keras' default for `compile`: Adam with a learning rate of 2e-5.
impl Default for Optimizer {
    fn default() -> Self {
        Self::new(super::Adam::default(), 2e-5)
    }
}
