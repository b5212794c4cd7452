//! Layer normalisation and its gradients on the CPU, some rows a task.

mod backward;
mod forward;
mod statistics;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Flex, TensorMetadata};

use self::backward::layer_norm_backward;
use self::forward::layer_norm;
use super::{LayerNormOps, composed};
use crate::cpu::tensors::{has_kernel, in_order, slice, tensor, whole};
use crate::cpu::threads::write_all;

impl LayerNormOps for Flex {
    fn fused_layer_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        if !has_kernel(&[&x, &gamma, &beta]) {
            return composed::layer_norm::<Self>(x, gamma, beta, epsilon);
        }
        let [x, gamma, beta] = [x, gamma, beta].map(in_order);
        let values = slice(&x);
        let (gamma, beta) = (slice(&gamma), slice(&beta));
        let output = write_all(values.len(), |output| {
            layer_norm(values, gamma, beta, epsilon as f32, output);
        });
        tensor(output, x.shape())
    }

    fn fused_layer_norm_backward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        if !has_kernel(&[&x, &gamma, &gradient]) {
            return composed::layer_norm_backward::<Self>(x, gamma, gradient, epsilon);
        }
        let ([x, gamma], mut gradient) = ([x, gamma].map(in_order), whole(gradient));
        let (values, epsilon) = (slice(&x), epsilon as f32);
        let (by_gamma, by_beta) =
            layer_norm_backward(values, slice(&gamma), gradient.storage_mut(), epsilon);
        (gradient, tensor(by_gamma, gamma.shape()), tensor(by_beta, gamma.shape()))
    }
}
