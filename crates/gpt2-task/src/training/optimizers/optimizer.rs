//! Optimizer: an update rule with the features that all of Keras' optimizers share.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::adam::Adam;
use super::gradient_clipping::GradientClipping;
use super::loss_scale::LossScale;
use super::rule::UpdateRule;
use crate::arguments::{check_fraction, check_positive, invalid};
use crate::error::TaskError;
use crate::training::schedule::learning_rate::LearningRate;

/// Exponential moving average of the weights, which is often better than the last weights.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ExponentialMovingAverage {
    /// Share of the old average in each step. Default: 0.99, as in Keras.
    pub momentum: f64,
    /// Steps after which the average replaces the weights. Default: none, only at the end of `fit`.
    pub overwrite_frequency: Option<u64>,
}

impl Default for ExponentialMovingAverage {
    fn default() -> Self {
        Self { momentum: 0.99, overwrite_frequency: None }
    }
}

/// Update rule with its learning rate, weight decay, clipping, accumulation and average.
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
    /// Learning rate at construction, unaffected by callbacks.
    pub(super) given_learning_rate: LearningRate,
    pub(super) weight_decay: Option<f64>,
    pub(super) excluded_from_weight_decay: Vec<String>,
    pub(super) clipping: Option<GradientClipping>,
    pub(super) accumulation_steps: Option<u64>,
    pub(super) ema: Option<ExponentialMovingAverage>,
    pub(super) loss_scale: Option<LossScale>,
    /// Batches that [`apply`](Self::apply) has used, including accumulated ones, without those that
    /// a loss scale has skipped.
    pub(super) iterations: u64,
    pub(super) variables: BTreeMap<String, VariableState>,
}

/// State of one variable.
#[derive(Debug, Default)]
pub(super) struct VariableState {
    /// Number of elements of the variable.
    pub(super) size: usize,
    pub(super) slots: Vec<Tensor<1>>,
    pub(super) accumulated: Option<Tensor<1>>,
    pub(super) average: Option<Tensor<1>>,
}

impl Optimizer {
    /// Optimizer with Keras' defaults for everything but the rule and the learning rate.
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

    /// Replaces the learning rate with a number or a schedule.
    #[must_use]
    pub fn with_learning_rate(mut self, learning_rate: impl Into<LearningRate>) -> Self {
        self.learning_rate = learning_rate.into();
        self.given_learning_rate = self.learning_rate.clone();
        self
    }

    /// Sets the weight decay: every step shrinks the variables by this share times the learning
    /// rate.
    #[must_use]
    pub fn with_weight_decay(mut self, weight_decay: f64) -> Self {
        self.weight_decay = Some(weight_decay);
        self
    }

    /// Exempts variables from weight decay whose name contains one of these texts. The name is the
    /// last part of the path: `kernel`, `bias`, `gamma`, `beta`, `embeddings`, …. (In Keras each
    /// text is a regular expression.)
    #[must_use]
    pub fn excluding_from_weight_decay<S: Into<String>>(
        mut self,
        names: impl IntoIterator<Item = S>,
    ) -> Self {
        self.excluded_from_weight_decay = names.into_iter().map(Into::into).collect();
        self
    }

    /// Limits the norm of each variable's gradient. Replaces the two other kinds of clipping.
    #[must_use]
    pub fn with_clipnorm(mut self, clipnorm: f64) -> Self {
        self.clipping = Some(GradientClipping::ClipNorm(clipnorm));
        self
    }

    /// Limits the norm of all gradients together. Replaces the two other kinds of clipping.
    #[must_use]
    pub fn with_global_clipnorm(mut self, global_clipnorm: f64) -> Self {
        self.clipping = Some(GradientClipping::GlobalClipNorm(global_clipnorm));
        self
    }

    /// Limits every element of a gradient. Replaces the two other kinds of clipping.
    #[must_use]
    pub fn with_clipvalue(mut self, clipvalue: f64) -> Self {
        self.clipping = Some(GradientClipping::ClipValue(clipvalue));
        self
    }

    /// Updates the weights once every `steps` batches, with the mean of their gradients.
    ///
    /// As in Keras, a learning-rate schedule counts batches, but the rule counts updates.
    #[must_use]
    pub fn with_gradient_accumulation_steps(mut self, steps: u64) -> Self {
        self.accumulation_steps = Some(steps);
        self
    }

    /// Keeps an average of the weights, which replaces the weights at the end of `fit`.
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

    /// Sets a loss scale unless there is one.
    pub(crate) fn default_loss_scale(&mut self, loss_scale: LossScale) {
        self.loss_scale.get_or_insert(loss_scale);
    }

    /// Name and arguments of the rule.
    pub fn name(&self) -> String {
        self.rule.name()
    }

    /// Weight decay. None: no decay.
    pub fn weight_decay(&self) -> Option<f64> {
        self.weight_decay
    }

    /// Number of batches so far, without those that a loss scale has skipped.
    pub fn iterations(&self) -> u64 {
        self.iterations
    }

    /// Learning rate of the next step.
    pub fn learning_rate(&self) -> f64 {
        self.learning_rate.at(self.iterations)
    }

    /// Sets a constant learning rate.
    ///
    /// # Errors
    ///
    /// [`TaskError::InvalidTrainingArgument`] if a schedule determines the rate, or if it is
    /// negative.
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

    /// Checks the arguments.
    ///
    /// # Errors
    ///
    /// [`TaskError::InvalidTrainingArgument`] for an argument out of range.
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

    /// Factor of the loss before its gradients are computed.
    pub fn loss_scale_factor(&self) -> f64 {
        self.loss_scale.map_or(1.0, LossScale::factor)
    }

    /// Average of a parameter's values. None if no average is kept.
    pub fn average_of(&self, path: &str) -> Option<Tensor<1>> {
        self.variables.get(path)?.average.clone()
    }
}

/// Keras' default for `compile`: Adam with a learning rate of 2e-5.
impl Default for Optimizer {
    fn default() -> Self {
        Self::new(Adam::default(), 2e-5)
    }
}
