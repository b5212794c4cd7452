//! A step of Adam from burn's own operations: for every device and float type.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata, get_or_init_device_settings};

use super::step::AdamStep;

/// A variable after a step, and its moments, in the order of `Moments`.
pub(super) type Stepped<B> = (FloatTensor<B>, Vec<FloatTensor<B>>);

/// Follows `update_step` of `keras/src/optimizers/adam.py` and rounds after every operation, as
/// Keras does.
pub(super) fn adam<B: Backend>(
    variable: FloatTensor<B>,
    gradient: FloatTensor<B>,
    slots: Vec<FloatTensor<B>>,
    step: AdamStep,
) -> Stepped<B> {
    let blend = |old: FloatTensor<B>, new: FloatTensor<B>, beta: f64| {
        let change = B::float_mul_scalar(B::float_sub(new, old.clone()), (1.0 - beta).into());
        B::float_add(old, change)
    };
    let mut slots = slots.into_iter();
    let (momentum, velocity) = (slots.next(), slots.next());
    let (momentum, velocity) = momentum.zip(velocity).expect("there are at least two moments");
    let square = B::float_mul(gradient.clone(), gradient.clone());
    let momentum = blend(momentum, gradient, step.beta_1);
    let velocity = blend(velocity, square, step.beta_2);
    let mut changed = vec![momentum.clone(), velocity.clone()];
    if let Some(largest) = slots.next() {
        let settings = get_or_init_device_settings::<B>(&velocity.device());
        let is_larger = B::float_greater(velocity.clone(), largest.clone(), settings.bool_dtype);
        changed.push(B::float_mask_where(largest, is_larger, velocity));
    }
    let divisor = changed.last().expect("it was pushed").clone();
    let divisor = B::float_add_scalar(B::float_sqrt(divisor), step.epsilon.into());
    let update = B::float_div(B::float_mul_scalar(momentum, step.alpha.into()), divisor);
    (B::float_sub(variable, update), changed)
}

/// The sum of squares, `[1]`.
pub(super) fn square_sum<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    B::float_sum(B::float_mul(x.clone(), x))
}

/// `x - x * share * learning_rate`, rounded as in Keras.
pub(super) fn weight_decay<B: Backend>(
    x: FloatTensor<B>,
    share: f64,
    learning_rate: f32,
) -> FloatTensor<B> {
    let decay = B::float_mul_scalar(x.clone(), share.into());
    B::float_sub(x, B::float_mul_scalar(decay, learning_rate.into()))
}
