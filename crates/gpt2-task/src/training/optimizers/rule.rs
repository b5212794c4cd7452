//! How one step changes one variable.

use std::collections::BTreeMap;
use std::fmt;

use burn::tensor::{Device, Tensor};
use serde_json::Value;

use crate::error::TaskError;

/// The step that an [`UpdateRule`] computes, in the 32-bit floats of Keras, and for what.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UpdateStep<'a> {
    /// The learning rate at this step.
    pub learning_rate: f32,
    /// Number of the step, counted from 1.
    pub step: f32,
    /// The path of the variable.
    pub path: &'a str,
    /// Its shape.
    pub shape: &'a [usize],
    /// Its shape in Keras, where heads are an axis of their own; the elements lie as in `shape`.
    pub keras_shape: &'a [usize],
}

/// State of a rule besides its slots.
#[derive(Debug, Clone, Default)]
pub struct RuleState {
    /// Flat tensors by name.
    pub tensors: BTreeMap<String, Tensor<1>>,
    /// Everything else.
    pub json: Value,
}

/// The formula of an optimizer: Keras' `update_step`.
///
/// ```
/// use burn::tensor::Tensor;
/// use gpt2_task::optimizers::{Optimizer, UpdateRule, UpdateStep};
///
/// #[derive(Debug)]
/// struct SignDescent;
///
/// impl UpdateRule for SignDescent {
///     fn name(&self) -> String {
///         "sign_descent".to_owned()
///     }
///     fn update(
///         &mut self,
///         variable: Tensor<1>,
///         gradient: Tensor<1>,
///         _slots: &mut [Tensor<1>],
///         step: UpdateStep<'_>,
///     ) -> Tensor<1> {
///         variable - gradient.sign() * step.learning_rate
///     }
/// }
///
/// let optimizer = Optimizer::new(SignDescent, 1e-4);
/// assert_eq!(optimizer.name(), "sign_descent");
/// ```
pub trait UpdateRule: fmt::Debug + Send + Sync {
    /// The optimizer's name, with the arguments that tell two of a kind apart: a resumed training
    /// must have the same.
    fn name(&self) -> String;

    /// Values that Keras keeps for a variable of this shape from step to step: names and numbers of
    /// elements. All begin at zero.
    fn slots(&self, shape: &[usize]) -> Vec<(&'static str, usize)> {
        let _ = shape;
        Vec::new()
    }

    /// The new values of a variable.
    ///
    /// Everything is flat, in row-major order. The slots are those of [`slots`](Self::slots), in
    /// their order. Of variable and slots no other reference is held, so that burn writes them in
    /// place.
    fn update(
        &mut self,
        variable: Tensor<1>,
        gradient: Tensor<1>,
        slots: &mut [Tensor<1>],
        step: UpdateStep<'_>,
    ) -> Tensor<1>;

    /// Forgets what the rule keeps besides its slots for the paths that are not to be kept.
    fn retain(&mut self, keep: &dyn Fn(&str) -> bool) {
        let _ = keep;
    }

    /// State besides the slots, on this device, for a checkpoint.
    fn state(&self, device: &Device) -> RuleState {
        let _ = device;
        RuleState::default()
    }

    /// Takes what [`state`](Self::state) gave; false if it is not of this rule.
    fn restore(&mut self, state: RuleState, device: &Device) -> bool {
        let _ = device;
        state.tensors.is_empty()
    }

    /// The weight decay that the optimizer has unless told otherwise.
    fn default_weight_decay(&self) -> Option<f64> {
        None
    }

    /// Refuses arguments that are out of range.
    ///
    /// # Errors
    ///
    /// [`TaskError::InvalidTrainingArgument`].
    fn validate(&self) -> Result<(), TaskError> {
        Ok(())
    }
}

/// Number of elements of a shape.
pub(crate) fn elements(shape: &[usize]) -> usize {
    shape.iter().product()
}
