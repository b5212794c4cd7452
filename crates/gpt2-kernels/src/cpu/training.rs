//! From burn's tensors to slices and back, for what only training computes.

use burn::backend::flex::FlexTensor;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::TensorData;

use super::flex::{has_kernel, in_order, slice, tensor, whole};
use super::{adam as kernels, cross_entropy as head};
use crate::adam::{AdamStep, Stepped, composed_adam, composed_square_sum, composed_weight_decay};
use crate::attention::DropoutKey;
use crate::composed;
use crate::cross_entropy::{CrossEntropy, Evaluated, composed as composed_cross_entropy};

pub(super) fn dropout(x: FlexTensor, dropout: DropoutKey) -> FlexTensor {
    if !has_kernel(&[&x]) {
        return composed::counted_dropout::<Flex>(x, dropout);
    }
    let mut x = whole(x);
    super::dropout::dropout(x.storage_mut(), dropout);
    x
}

pub(super) fn gelu_backward(x: FlexTensor, gradient: FlexTensor) -> FlexTensor {
    if !has_kernel(&[&x, &gradient]) {
        return composed::gelu_backward::<Flex>(x, gradient);
    }
    let (x, mut gradient) = (in_order(x), whole(gradient));
    super::gelu_backward::gelu_backward(slice(&x), gradient.storage_mut());
    gradient
}

pub(super) fn layer_norm_backward(
    x: FlexTensor,
    gamma: FlexTensor,
    gradient: FlexTensor,
    epsilon: f64,
) -> (FlexTensor, FlexTensor, FlexTensor) {
    if !has_kernel(&[&x, &gamma, &gradient]) {
        return composed::layer_norm_backward::<Flex>(x, gamma, gradient, epsilon);
    }
    let ([x, gamma], mut gradient) = ([x, gamma].map(in_order), whole(gradient));
    let (by_gamma, by_beta) = super::layer_norm_backward::layer_norm_backward(
        slice(&x),
        slice(&gamma),
        gradient.storage_mut(),
        epsilon as f32,
    );
    (gradient, tensor(by_gamma, gamma.shape()), tensor(by_beta, gamma.shape()))
}

pub(super) fn cross_entropy(
    hidden: FlexTensor,
    table: FlexTensor,
    request: CrossEntropy,
) -> Evaluated<Flex> {
    if !has_kernel(&[&hidden, &table]) || request.compute_dtype.is_some() {
        return composed_cross_entropy::<Flex>(hidden, table, request);
    }
    let [hidden, table] = [hidden, table].map(in_order);
    let [rows, width] = hidden.shape().dims();
    let found = head::cross_entropy(slice(&hidden), slice(&table), width, &request);
    let best = FlexTensor::from_data(TensorData::new(found.best, [rows]));
    (
        tensor(found.losses, [rows]),
        best,
        found.hidden_gradient.map(|gradient| tensor(gradient, hidden.shape())),
        found.table_gradient.map(|gradient| tensor(gradient, table.shape())),
    )
}

pub(super) fn adam(
    variable: FlexTensor,
    gradient: FlexTensor,
    slots: Vec<FlexTensor>,
    step: AdamStep,
) -> Stepped<Flex> {
    let all: Vec<_> = [&variable, &gradient].into_iter().chain(&slots).collect();
    if !has_kernel(&all) {
        return composed_adam::<Flex>(variable, gradient, slots, step);
    }
    let (mut variable, gradient) = (whole(variable), in_order(gradient));
    let mut slots: Vec<_> = slots.into_iter().map(whole).collect();
    let mut numbers: Vec<&mut [f32]> = slots.iter_mut().map(FlexTensor::storage_mut).collect();
    kernels::adam(variable.storage_mut(), slice(&gradient), &mut numbers, step);
    (variable, slots)
}

pub(super) fn square_sum(x: FlexTensor) -> FlexTensor {
    if !has_kernel(&[&x]) {
        return composed_square_sum::<Flex>(x);
    }
    tensor(vec![kernels::square_sum(slice(&in_order(x)))], [1])
}

pub(super) fn scale(x: FlexTensor, factor: FlexTensor) -> FlexTensor {
    if !has_kernel(&[&x, &factor]) {
        return <Flex as burn::backend::ops::FloatTensorOps<Flex>>::float_mul(x, factor);
    }
    let mut x = whole(x);
    kernels::scale(x.storage_mut(), slice(&factor)[0]);
    x
}

pub(super) fn weight_decay(x: FlexTensor, share: f64, learning_rate: f32) -> FlexTensor {
    if !has_kernel(&[&x]) {
        return composed_weight_decay::<Flex>(x, share, learning_rate);
    }
    let mut x = whole(x);
    kernels::weight_decay(x.storage_mut(), share as f32, learning_rate);
    x
}
