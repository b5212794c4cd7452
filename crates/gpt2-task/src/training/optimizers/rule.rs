//! Update of one variable in one step.

use std::collections::BTreeMap;
use std::fmt;

use burn::tensor::{Device, Tensor};
use serde_json::Value;

use crate::error::TaskError;

/// Context of one update, in Keras' 32-bit floats.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UpdateStep<'a> {
    /// Learning rate of this step.
    pub learning_rate: f32,
    /// Number of the update, from 1.
    pub step: f32,
    /// Path of the variable.
    pub path: &'a str,
    /// Shape of the variable.
    pub shape: &'a [usize],
    /// Shape in Keras, where heads are an axis of their own. The order of the elements is that of
    /// `shape`.
    pub keras_shape: &'a [usize],
}

/// State of a rule besides its slots.
#[derive(Debug, Clone, Default)]
pub struct RuleState {
    /// Flat tensors by name.
    pub tensors: BTreeMap<String, Tensor<1>>,
    /// Any other state.
    pub json: Value,
}

/// Formula of an optimizer: Keras' `update_step`.
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
    /// Name of the rule, with the arguments that distinguish two rules of a kind. A resumed
    /// training must have the same name.
    fn name(&self) -> String;

    /// Slots: values that a rule keeps for a variable of this shape between steps. Returns their
    /// names and numbers of elements. All begin at zero.
    fn slots(&self, shape: &[usize]) -> Vec<(&'static str, usize)> {
        let _ = shape;
        Vec::new()
    }

    /// New values of a variable.
    ///
    /// All tensors are flat, in row-major order. The slots are those of [`slots`](Self::slots), in
    /// the same order. The tensors have no other references, so that burn can write them in place.
    fn update(
        &mut self,
        variable: Tensor<1>,
        gradient: Tensor<1>,
        slots: &mut [Tensor<1>],
        step: UpdateStep<'_>,
    ) -> Tensor<1>;

    /// Drops state besides the slots for all paths except those for which `keep` returns true.
    fn retain(&mut self, keep: &dyn Fn(&str) -> bool) {
        let _ = keep;
    }

    /// State besides the slots, on this device, for a checkpoint.
    fn state(&self, device: &Device) -> RuleState {
        let _ = device;
        RuleState::default()
    }

    /// Restores a state that [`state`](Self::state) returned. Returns false for the state of
    /// another rule.
    fn restore(&mut self, state: RuleState, device: &Device) -> bool {
        let _ = device;
        state.tensors.is_empty()
    }

    /// Default weight decay of an optimizer with this rule.
    fn default_weight_decay(&self) -> Option<f64> {
        None
    }

    /// Checks the arguments.
    ///
    /// # Errors
    ///
    /// [`TaskError::InvalidTrainingArgument`] for an argument out of range.
    fn validate(&self) -> Result<(), TaskError> {
        Ok(())
    }
}

/// Number of elements of a shape.
pub(crate) fn elements(shape: &[usize]) -> usize {
    shape.iter().product()
}
