//! GELU and its gradient on a GPU.

use burn::backend::TensorMetadata;
use burn::backend::tensor::FloatTensor;
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl::ir::ElemType;
use burn_cubecl::cubecl::{self, prelude::*};
use burn_cubecl::tensor::CubeTensor;

use super::{GeluOps, composed};
use crate::gpu::launch::{
    buffer, contiguous, cube_dim, elem, elementwise, empty, flat_vector_size,
};
use crate::gpu::tensors::has_kernel;

impl GeluOps for CubeBackend {
    fn fused_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        if has_kernel(&[&x]) { gelu(x) } else { composed::gelu::<Self>(x) }
    }

    fn fused_gelu_backward(x: FloatTensor<Self>, gradient: FloatTensor<Self>) -> FloatTensor<Self> {
        if !has_kernel(&[&x, &gradient]) {
            return composed::gelu_backward::<Self>(x, gradient);
        }
        gelu_backward(x, gradient)
    }
}

/// Factor of the hyperbolic tangent's argument: `sqrt(2 / pi)`.
const SLOPE: f32 = 0.797_884_6;
/// Coefficient of the cube.
const CUBIC: f32 = 0.044_715;
/// Beyond this range the hyperbolic tangent is 1 in 32-bit floats, and some drivers return NaN.
const TANH_RANGE: f32 = 10.0;

#[cube]
fn tanh_of_gelu<N: Size>(x: Vector<f32, N>) -> Vector<f32, N> {
    let inner = Vector::new(SLOPE) * (x + Vector::new(CUBIC) * x * x * x);
    Vector::tanh(clamp(inner, Vector::new(-TANH_RANGE), Vector::new(TANH_RANGE)))
}

/// GPT-2's GELU.
#[cube]
pub(crate) fn gelu_of<N: Size>(x: Vector<f32, N>) -> Vector<f32, N> {
    Vector::new(0.5f32) * x * (Vector::new(1.0f32) + tanh_of_gelu(x))
}

#[cube(launch_unchecked)]
fn gelu_kernel<X: Float, N: Size>(
    x: &[Vector<X, N>],
    output: &mut [Vector<X, N>],
    #[define(X)] _x_type: ElemType,
) {
    if ABSOLUTE_POS >= output.len() {
        terminate!();
    }
    output[ABSOLUTE_POS] = Vector::cast_from(gelu_of(Vector::<f32, N>::cast_from(x[ABSOLUTE_POS])));
}

#[cube(launch_unchecked)]
fn gelu_backward_kernel<X: Float, N: Size>(
    x: &[Vector<X, N>],
    gradient: &[Vector<X, N>],
    output: &mut [Vector<X, N>],
    #[define(X)] _x_type: ElemType,
) {
    if ABSOLUTE_POS >= output.len() {
        terminate!();
    }
    let one = Vector::new(1.0f32);
    let x = Vector::<f32, N>::cast_from(x[ABSOLUTE_POS]);
    let tanh = tanh_of_gelu(x);
    // Beyond the range the hyperbolic tangent's slope is zero, and a square might overflow.
    let near = clamp(x, Vector::new(-TANH_RANGE), Vector::new(TANH_RANGE));
    let inner = Vector::new(SLOPE) * (one + Vector::new(3.0f32 * CUBIC) * near * near);
    let slope = Vector::new(0.5f32) * (one + tanh + near * (one - tanh * tanh) * inner);
    let gradient = Vector::<f32, N>::cast_from(gradient[ABSOLUTE_POS]);
    output[ABSOLUTE_POS] = Vector::cast_from(slope * gradient);
}

fn gelu(x: CubeTensor) -> CubeTensor {
    let x = contiguous(x);
    let output = empty(&x, x.shape(), x.dtype);
    let size = flat_vector_size(&x);
    // SAFETY: the kernel stops units past the output, which is as long as the input.
    unsafe {
        gelu_kernel::launch_unchecked(
            &x.client,
            elementwise(&x, size),
            cube_dim(),
            size,
            buffer(&x),
            buffer(&output),
            elem(&x),
        );
    }
    output
}

fn gelu_backward(x: CubeTensor, gradient: CubeTensor) -> CubeTensor {
    let (x, gradient) = (contiguous(x), contiguous(gradient));
    let output = empty(&x, x.shape(), x.dtype);
    let size = flat_vector_size(&x);
    // SAFETY: the kernel stops units past the output, which is as long as both inputs.
    unsafe {
        gelu_backward_kernel::launch_unchecked(
            &x.client,
            elementwise(&x, size),
            cube_dim(),
            size,
            buffer(&x),
            buffer(&gradient),
            buffer(&output),
            elem(&x),
        );
    }
    output
}
