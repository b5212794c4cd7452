//! A step of Adam on a GPU.

use burn::backend::DType;
use burn::backend::tensor::FloatTensor;
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl::ir::ElemType;
use burn_cubecl::cubecl::{self, prelude::*};
use burn_cubecl::tensor::CubeTensor;

use super::step::{AdamStep, Moments};
use super::{AdamOps, composed};
use crate::gpu::launch::{
    buffer, contiguous, cube_dim, elem, elementwise, flat_vector_size, owned,
};
use crate::gpu::tensors::{are_floats, has_kernel};

impl AdamOps for CubeBackend {
    fn fused_adam(
        variable: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        moments: Moments<Self>,
        step: AdamStep,
    ) -> (FloatTensor<Self>, Vec<FloatTensor<Self>>) {
        match moments {
            Moments::Two(momentum, velocity)
                if has_kernel(&[&variable, &momentum, &velocity])
                    && variable.dtype == DType::F32
                    && are_floats(&[&gradient]) =>
            {
                adam(variable, gradient, [momentum, velocity], step)
            }
            moments => composed::adam::<Self>(variable, gradient, moments.into_slots(), step),
        }
    }
}

/// Rates of a step, as the kernel needs them.
#[derive(Debug, Clone, Copy, CubeLaunch, CubeType)]
struct Rates {
    /// Share of the gradient in its mean.
    momentum: f32,
    /// Share of the squared gradient in its mean.
    velocity: f32,
    epsilon: f32,
    alpha: f32,
}

#[cube(launch_unchecked)]
fn adam_kernel<G: Float, N: Size>(
    variable: &mut [Vector<f32, N>],
    gradient: &[Vector<G, N>],
    momentum: &mut [Vector<f32, N>],
    velocity: &mut [Vector<f32, N>],
    rates: Rates,
    #[define(G)] _g_type: ElemType,
) {
    if ABSOLUTE_POS >= variable.len() {
        terminate!();
    }
    let gradient = Vector::<f32, N>::cast_from(gradient[ABSOLUTE_POS]);
    let m = momentum[ABSOLUTE_POS];
    let m = m + (gradient - m) * Vector::new(rates.momentum);
    let v = velocity[ABSOLUTE_POS];
    let v = v + (gradient * gradient - v) * Vector::new(rates.velocity);
    momentum[ABSOLUTE_POS] = m;
    velocity[ABSOLUTE_POS] = v;
    let update = m * Vector::new(rates.alpha) / (Vector::sqrt(v) + Vector::new(rates.epsilon));
    variable[ABSOLUTE_POS] -= update;
}

/// The variable and its two moments after a step, written in place if no other reference is held.
fn adam(
    variable: CubeTensor,
    gradient: CubeTensor,
    [momentum, velocity]: [CubeTensor; 2],
    step: AdamStep,
) -> (CubeTensor, Vec<CubeTensor>) {
    let gradient = contiguous(gradient);
    let [variable, momentum, velocity] = [variable, momentum, velocity].map(owned);
    let size = flat_vector_size(&variable);
    let rates = RatesLaunch::new(
        (1.0 - step.beta_1) as f32,
        (1.0 - step.beta_2) as f32,
        step.epsilon as f32,
        step.alpha,
    );
    // SAFETY: the kernel stops units past the variable, and all four tensors have the same length.
    unsafe {
        adam_kernel::launch_unchecked(
            &variable.client,
            elementwise(&variable, size),
            cube_dim(),
            size,
            buffer(&variable),
            buffer(&gradient),
            buffer(&momentum),
            buffer(&velocity),
            rates,
            elem(&gradient),
        );
    }
    (variable, vec![momentum, velocity])
}
