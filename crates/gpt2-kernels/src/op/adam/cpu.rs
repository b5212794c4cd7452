//! A step of Adam and the operations around it on the CPU: in place, in one pass each.

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use pulp::{Simd, WithSimd};

use super::step::{AdamStep, Moments};
use super::{AdamOps, composed};
use crate::cpu::simd::{dispatch, load, store};
use crate::cpu::tensors::{changed, has_kernel, in_order, slice, tensor, whole};
use crate::cpu::threads::{CHUNK, Shared, for_each, in_chunks};

impl AdamOps for Flex {
    fn fused_adam(
        variable: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        moments: Moments<Self>,
        step: AdamStep,
    ) -> (FloatTensor<Self>, Vec<FloatTensor<Self>>) {
        let slots = moments.into_slots();
        let all: Vec<_> = [&variable, &gradient].into_iter().chain(&slots).collect();
        if !has_kernel(&all) {
            return composed::adam::<Self>(variable, gradient, slots, step);
        }
        let gradient = in_order(gradient);
        let mut slots: Vec<_> = slots.into_iter().map(whole).collect();
        let mut numbers: Vec<&mut [f32]> = slots.iter_mut().map(FlexTensor::storage_mut).collect();
        let variable =
            changed(variable, |variable| adam(variable, slice(&gradient), &mut numbers, step));
        (variable, slots)
    }

    fn fused_square_sum(x: FloatTensor<Self>) -> FloatTensor<Self> {
        if !has_kernel(&[&x]) {
            return composed::square_sum::<Self>(x);
        }
        tensor(vec![square_sum(slice(&in_order(x)))], [1])
    }

    fn fused_scale(x: FloatTensor<Self>, factor: FloatTensor<Self>) -> FloatTensor<Self> {
        if !has_kernel(&[&x, &factor]) {
            return Self::float_mul(x, factor);
        }
        changed(x, |x| scale(x, slice(&factor)[0]))
    }

    fn fused_weight_decay(
        x: FloatTensor<Self>,
        share: f64,
        learning_rate: f32,
    ) -> FloatTensor<Self> {
        if !has_kernel(&[&x]) {
            return composed::weight_decay::<Self>(x, share, learning_rate);
        }
        changed(x, |x| weight_decay(x, share as f32, learning_rate))
    }
}

/// Updates a variable and its moments: momentum, velocity and, with AMSGrad, the largest velocity.
///
/// Every number equals that of the composed operations: each operation is rounded alike.
fn adam(variable: &mut [f32], gradient: &[f32], moments: &mut [&mut [f32]], step: AdamStep) {
    let length = variable.len();
    assert!(gradient.len() == length && moments.iter().all(|slot| slot.len() == length));
    let variable = Shared::new(variable);
    let moments: Vec<_> = moments.iter_mut().map(|slot| Shared::new(slot)).collect();
    for_each(length.div_ceil(CHUNK), length, |task| {
        let start = task * CHUNK;
        let count = CHUNK.min(length - start);
        // SAFETY: the chunk belongs to this task alone, in each slice.
        let part = |slot: usize| unsafe { moments[slot].part(start, count) };
        dispatch(Adam {
            // SAFETY: as above.
            variable: unsafe { variable.part(start, count) },
            gradient: &gradient[start..start + count],
            momentum: part(0),
            velocity: part(1),
            largest: (moments.len() > 2).then(|| part(2)),
            step,
        });
    });
}

struct Adam<'a> {
    variable: &'a mut [f32],
    gradient: &'a [f32],
    momentum: &'a mut [f32],
    velocity: &'a mut [f32],
    largest: Option<&'a mut [f32]>,
    step: AdamStep,
}

impl WithSimd for Adam<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { variable, gradient, momentum, velocity, mut largest, step } = self;
        let splat = |value: f32| simd.splat_f32s(value);
        let first = splat((1.0 - step.beta_1) as f32);
        let second = splat((1.0 - step.beta_2) as f32);
        let (alpha, epsilon) = (splat(step.alpha), splat(step.epsilon as f32));
        // No fused multiply-add: Keras rounds each operation.
        let blend = |old: S::f32s, new: S::f32s, share: S::f32s| {
            simd.add_f32s(old, simd.mul_f32s(simd.sub_f32s(new, old), share))
        };
        let update = |variable: S::f32s, momentum: S::f32s, divisor: S::f32s| {
            let divisor = simd.add_f32s(simd.sqrt_f32s(divisor), epsilon);
            simd.sub_f32s(variable, simd.div_f32s(simd.mul_f32s(momentum, alpha), divisor))
        };
        let (lanes, length) = (S::F32_LANES, variable.len());
        let whole = length - length % lanes;
        for at in (0..whole).step_by(lanes) {
            let g = load(simd, gradient, at);
            let m = blend(load(simd, momentum, at), g, first);
            let mut v = blend(load(simd, velocity, at), simd.mul_f32s(g, g), second);
            store(simd, momentum, at, m);
            store(simd, velocity, at, v);
            if let Some(largest) = &mut largest {
                v = simd.max_f32s(v, load(simd, largest, at));
                store(simd, largest, at, v);
            }
            store(simd, variable, at, update(load(simd, variable, at), m, v));
        }
        let rest = |slice: &[f32]| simd.partial_load_f32s(&slice[whole..]);
        let g = rest(gradient);
        let m = blend(rest(momentum), g, first);
        let mut v = blend(rest(velocity), simd.mul_f32s(g, g), second);
        simd.partial_store_f32s(&mut momentum[whole..], m);
        simd.partial_store_f32s(&mut velocity[whole..], v);
        if let Some(largest) = &mut largest {
            v = simd.max_f32s(v, rest(largest));
            simd.partial_store_f32s(&mut largest[whole..], v);
        }
        let new = update(rest(variable), m, v);
        simd.partial_store_f32s(&mut variable[whole..], new);
    }
}

/// Sum of squares: chunks in 32-bit floats, the total in 64-bit ones.
fn square_sum(x: &[f32]) -> f32 {
    let mut sums = vec![0f32; x.len().div_ceil(CHUNK)];
    let shared = Shared::new(&mut sums);
    for_each(x.len().div_ceil(CHUNK), x.len(), |task| {
        let chunk = &x[task * CHUNK..x.len().min((task + 1) * CHUNK)];
        // SAFETY: each task writes its own sum.
        let sum = unsafe { shared.part(task, 1) };
        sum[0] = dispatch(SquareSum { x: chunk });
    });
    sums.iter().map(|sum| f64::from(*sum)).sum::<f64>() as f32
}

struct SquareSum<'a> {
    x: &'a [f32],
}

impl WithSimd for SquareSum<'_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        let lanes = S::F32_LANES;
        let mut sums = [simd.splat_f32s(0.0); 4];
        let whole = self.x.len() - self.x.len() % (4 * lanes);
        for at in (0..whole).step_by(4 * lanes) {
            for (index, sum) in sums.iter_mut().enumerate() {
                let x = load(simd, self.x, at + index * lanes);
                *sum = simd.mul_add_e_f32s(x, x, *sum);
            }
        }
        for rest in self.x[whole..].chunks(lanes) {
            let x = simd.partial_load_f32s(rest);
            sums[0] = simd.mul_add_e_f32s(x, x, sums[0]);
        }
        let [a, b, c, d] = sums;
        simd.reduce_sum_f32s(simd.add_f32s(simd.add_f32s(a, b), simd.add_f32s(c, d)))
    }
}

/// Multiplies every number by `factor`.
fn scale(x: &mut [f32], factor: f32) {
    in_chunks(x, 1, |_, x| x.iter_mut().for_each(|x| *x *= factor));
}

/// `x - x * share * learning_rate`, rounded as the composed operations are.
fn weight_decay(x: &mut [f32], share: f32, learning_rate: f32) {
    in_chunks(x, 1, |_, x| x.iter_mut().for_each(|x| *x -= *x * share * learning_rate));
}
