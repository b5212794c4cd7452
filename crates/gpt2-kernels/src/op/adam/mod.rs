//! A step of Adam, and the operations on gradients and weights around it.

mod composed;
#[cfg(feature = "flex")]
mod cpu;
#[cfg(all(feature = "gpu", not(feature = "fusion")))]
mod gpu;
mod step;
#[cfg(all(test, feature = "flex"))]
mod tests;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::Tensor;

pub use self::step::{AdamStep, Moments};
use crate::backends::composed_on;

/// Step of Adam (`keras/src/optimizers/adam.py`). Updates a variable and its two moments, or three
/// with AMSGrad, in place if no other reference to them is held.
///
/// # Panics
///
/// If the number of moments is neither two nor three.
pub fn adam(
    variable: Tensor<1>,
    gradient: Tensor<1>,
    moments: &mut [Tensor<1>],
    step: AdamStep,
) -> Tensor<1> {
    let device = variable.device();
    let take = |moment: &mut Tensor<1>| {
        std::mem::replace(moment, Tensor::empty([0], &device)).into_dispatch()
    };
    let taken = match moments {
        [momentum, velocity] => Moments::Two(take(momentum), take(velocity)),
        [momentum, velocity, largest] => {
            Moments::Three(take(momentum), take(velocity), take(largest))
        }
        _ => panic!("Adam keeps two or three moments, not {}", moments.len()),
    };
    let (variable, gradient) = (variable.into_dispatch(), gradient.into_dispatch());
    let (variable, changed) = Dispatch::fused_adam(variable, gradient, taken, step);
    for (moment, changed) in moments.iter_mut().zip(changed) {
        *moment = Tensor::from_dispatch(changed);
    }
    Tensor::from_dispatch(variable)
}

/// The sum of squares.
pub fn square_sum(x: Tensor<1>) -> Tensor<1> {
    Tensor::from_dispatch(Dispatch::fused_square_sum(x.into_dispatch()))
}

/// Every element times the one in `factor`, in place if no other reference to `x` is held.
///
/// # Shapes
///
/// `factor`: `[1]`.
pub fn scale(x: Tensor<1>, factor: Tensor<1>) -> Tensor<1> {
    Tensor::from_dispatch(Dispatch::fused_scale(x.into_dispatch(), factor.into_dispatch()))
}

/// `x - x * share * learning_rate`, in place if no other reference to `x` is held
/// ([Loshchilov and Hutter, 2017](https://arxiv.org/abs/1711.05101)).
pub fn weight_decay(x: Tensor<1>, share: f64, learning_rate: f32) -> Tensor<1> {
    let x = Dispatch::fused_weight_decay(x.into_dispatch(), share, learning_rate);
    Tensor::from_dispatch(x)
}

/// A step of Adam and the operations around it on a backend.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(any(feature = "wgpu", feature = "cuda")),
    Autodiff
)]
pub trait AdamOps: Backend {
    /// New values of a variable and of its moments, in order; all tensors are flat.
    fn fused_adam(
        variable: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        #[extension_type] moments: Moments<Self>,
        step: AdamStep,
    ) -> (FloatTensor<Self>, Vec<FloatTensor<Self>>) {
        composed::adam::<Self>(variable, gradient, moments.into_slots(), step)
    }

    /// The sum of squares, `[1]`.
    fn fused_square_sum(x: FloatTensor<Self>) -> FloatTensor<Self> {
        composed::square_sum::<Self>(x)
    }

    /// Every element times the one in `factor`, `[1]`; `x` is flat.
    fn fused_scale(x: FloatTensor<Self>, factor: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::float_mul(x, factor)
    }

    /// `x - x * share * learning_rate`.
    fn fused_weight_decay(
        x: FloatTensor<Self>,
        share: f64,
        learning_rate: f32,
    ) -> FloatTensor<Self> {
        composed::weight_decay::<Self>(x, share, learning_rate)
    }
}

composed_on!(AdamOps: NdArray, FusedCube, Autodiff);
