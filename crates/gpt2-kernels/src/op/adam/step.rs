//! The numbers and the state of Adam.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, ExtensionType};

/// Numbers of a step of Adam ([Kingma and Ba, 2014](https://arxiv.org/abs/1412.6980)).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamStep {
    /// Decay of the mean of gradients.
    pub beta_1: f64,
    /// Decay of the mean of squared gradients.
    pub beta_2: f64,
    /// Keeps the divisor above zero; added before the second moment is corrected, as in Keras.
    pub epsilon: f64,
    /// The learning rate, with the correction of both moments.
    pub alpha: f32,
}

/// The state that Adam keeps of a variable, each tensor as long as the variable.
#[derive(Debug, Clone, ExtensionType)]
pub enum Moments<B: Backend> {
    /// The means of gradients and of squared gradients.
    Two(FloatTensor<B>, FloatTensor<B>),
    /// The same two, and the largest mean of squared gradients so far (AMSGrad).
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
