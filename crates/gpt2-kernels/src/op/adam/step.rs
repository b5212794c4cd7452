//! Coefficients and state of Adam.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, ExtensionType};

/// Coefficients of a step of Adam ([Kingma and Ba, 2014](https://arxiv.org/abs/1412.6980)).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamStep {
    /// Decay rate of the mean of gradients.
    pub beta_1: f64,
    /// Decay rate of the mean of squared gradients.
    pub beta_2: f64,
    /// Keeps the divisor above zero. Added before the second moment is corrected, as in Keras.
    pub epsilon: f64,
    /// Learning rate, times the bias correction of both moments.
    pub alpha: f32,
}

/// Adam's state of a variable; each tensor is as long as the variable.
#[derive(Debug, Clone, ExtensionType)]
pub enum Moments<B: Backend> {
    /// Means of the gradients and of the squared gradients.
    Two(FloatTensor<B>, FloatTensor<B>),
    /// The same means, and the largest mean of squared gradients so far (AMSGrad).
    Three(FloatTensor<B>, FloatTensor<B>, FloatTensor<B>),
}

impl<B: Backend> Moments<B> {
    /// The moments in order.
    pub(super) fn into_slots(self) -> Vec<FloatTensor<B>> {
        match self {
            Self::Two(momentum, velocity) => vec![momentum, velocity],
            Self::Three(momentum, velocity, largest) => vec![momentum, velocity, largest],
        }
    }
}
