//! Operations on each number by itself.

use burn::backend::TensorMetadata;
use burn_cubecl::cubecl::ir::ElemType;
use burn_cubecl::cubecl::{self, calculate_cube_count_elemwise, prelude::*};
use burn_cubecl::tensor::CubeTensor;

use super::launch::{
    buffer, contiguous, cube_dim, elem, empty, owned, rows_and_width, vector_size,
};
use super::random::dropout_factor;
use crate::adam::AdamStep;
use crate::attention::DropoutKey;

/// `sqrt(2 / pi)`.
const SLOPE: f32 = 0.797_884_6;
/// The weight of the cube in GELU.
const CUBIC: f32 = 0.044_715;
/// Beyond it the hyperbolic tangent is 1 in 32-bit floats, and some drivers' is NaN.
const TANH_RANGE: f32 = 10.0;

#[cube]
fn tanh_of_gelu<N: Size>(x: Vector<f32, N>) -> Vector<f32, N> {
    let inner = Vector::new(SLOPE) * (x + Vector::new(CUBIC) * x * x * x);
    Vector::tanh(clamp(inner, Vector::new(-TANH_RANGE), Vector::new(TANH_RANGE)))
}

/// GPT-2's GELU.
#[cube]
pub(super) fn gelu_of<N: Size>(x: Vector<f32, N>) -> Vector<f32, N> {
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
    // Beyond the range the tangent's slope is zero, and a square might not be finite.
    let near = clamp(x, Vector::new(-TANH_RANGE), Vector::new(TANH_RANGE));
    let inner = Vector::new(SLOPE) * (one + Vector::new(3.0f32 * CUBIC) * near * near);
    let slope = Vector::new(0.5f32) * (one + tanh + near * (one - tanh * tanh) * inner);
    let gradient = Vector::<f32, N>::cast_from(gradient[ABSOLUTE_POS]);
    output[ABSOLUTE_POS] = Vector::cast_from(slope * gradient);
}

/// `x + bias`, then what [`Epilogue`] says.
#[cube(launch_unchecked)]
fn epilogue_kernel<X: Float, N: Size>(
    x: &mut [Vector<X, N>],
    bias: &[Vector<X, N>],
    residual: &[Vector<X, N>],
    width: usize,
    #[comptime] epilogue: Epilogue,
    #[define(X)] _x_type: ElemType,
) {
    if ABSOLUTE_POS >= x.len() {
        terminate!();
    }
    let sum = Vector::<f32, N>::cast_from(x[ABSOLUTE_POS])
        + Vector::cast_from(bias[ABSOLUTE_POS % width]);
    x[ABSOLUTE_POS] = Vector::cast_from(match comptime!(epilogue) {
        Epilogue::None => sum,
        Epilogue::Gelu => gelu_of(sum),
        Epilogue::Add => sum + Vector::cast_from(residual[ABSOLUTE_POS]),
    });
}

/// What follows a product and its bias.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Epilogue {
    /// Nothing.
    None,
    /// GPT-2's GELU.
    Gelu,
    /// A residual is added.
    Add,
}

#[cube(launch_unchecked)]
fn dropout_kernel<X: Float>(
    x: &[X],
    output: &mut [X],
    key_low: u32,
    key_high: u32,
    threshold: u32,
    factor: f32,
    #[define(X)] _x_type: ElemType,
) {
    if ABSOLUTE_POS >= output.len() {
        terminate!();
    }
    let factor = dropout_factor(ABSOLUTE_POS as u32, key_low, key_high, threshold, factor);
    output[ABSOLUTE_POS] = X::cast_from(f32::cast_from(x[ABSOLUTE_POS]) * factor);
}

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn adam_kernel<G: Float, N: Size>(
    variable: &mut [Vector<f32, N>],
    gradient: &[Vector<G, N>],
    momentum: &mut [Vector<f32, N>],
    velocity: &mut [Vector<f32, N>],
    momentum_share: f32,
    velocity_share: f32,
    epsilon: f32,
    alpha: f32,
    #[define(G)] _g_type: ElemType,
) {
    if ABSOLUTE_POS >= variable.len() {
        terminate!();
    }
    let gradient = Vector::<f32, N>::cast_from(gradient[ABSOLUTE_POS]);
    let m = momentum[ABSOLUTE_POS];
    let m = m + (gradient - m) * Vector::new(momentum_share);
    let v = velocity[ABSOLUTE_POS];
    let v = v + (gradient * gradient - v) * Vector::new(velocity_share);
    momentum[ABSOLUTE_POS] = m;
    velocity[ABSOLUTE_POS] = v;
    let update = m * Vector::new(alpha) / (Vector::sqrt(v) + Vector::new(epsilon));
    variable[ABSOLUTE_POS] -= update;
}

/// Cubes for one unit a vector.
fn elementwise(tensor: &CubeTensor, vector_size: usize) -> CubeCount {
    let units = tensor.shape().num_elements() / vector_size;
    calculate_cube_count_elemwise(&tensor.client, units, cube_dim())
}

/// Elements that are read together, of tensors that are flat to the kernel.
fn flat_vector_size(tensor: &CubeTensor) -> usize {
    vector_size(tensor.shape().num_elements())
}

pub(super) fn gelu(x: CubeTensor) -> CubeTensor {
    let x = contiguous(x);
    let output = empty(&x, x.shape(), x.dtype);
    let size = flat_vector_size(&x);
    // SAFETY: the kernel ends units beyond the output, which is as long as the input.
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

pub(super) fn gelu_backward(x: CubeTensor, gradient: CubeTensor) -> CubeTensor {
    let (x, gradient) = (contiguous(x), contiguous(gradient));
    let output = empty(&x, x.shape(), x.dtype);
    let size = flat_vector_size(&x);
    // SAFETY: the kernel ends units beyond the output, which is as long as both inputs.
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

/// Adds a bias to a product, `[rows, width]`, in place, and what follows it.
pub(super) fn add_epilogue(
    product: CubeTensor,
    bias: CubeTensor,
    epilogue: Epilogue,
    residual: Option<CubeTensor>,
) -> CubeTensor {
    let (product, bias) = (owned(product), contiguous(bias));
    let residual = residual.map_or_else(|| bias.clone(), contiguous);
    let (_, width) = rows_and_width(&product);
    let size = vector_size(width);
    // SAFETY: the kernel ends units beyond the product; the bias has its width, and the residual,
    // where it is read, its shape.
    unsafe {
        epilogue_kernel::launch_unchecked(
            &product.client,
            elementwise(&product, size),
            cube_dim(),
            size,
            buffer(&product),
            buffer(&bias),
            buffer(&residual),
            width / size,
            epilogue,
            elem(&product),
        );
    }
    product
}

pub(super) fn dropout(x: CubeTensor, dropout: DropoutKey) -> CubeTensor {
    let x = contiguous(x);
    let output = empty(&x, x.shape(), x.dtype);
    let (threshold, factor) = dropout.threshold_and_factor();
    // SAFETY: the kernel ends units beyond the output, which is as long as the input.
    unsafe {
        dropout_kernel::launch_unchecked(
            &x.client,
            elementwise(&x, 1),
            cube_dim(),
            buffer(&x),
            buffer(&output),
            dropout.key as u32,
            (dropout.key >> 32) as u32,
            threshold,
            factor,
            elem(&x),
        );
    }
    output
}

/// The variable and its two moments after a step, written in place where nobody else has them.
pub(super) fn adam(
    variable: CubeTensor,
    gradient: CubeTensor,
    [momentum, velocity]: [CubeTensor; 2],
    step: AdamStep,
) -> (CubeTensor, Vec<CubeTensor>) {
    let gradient = contiguous(gradient);
    let [variable, momentum, velocity] = [variable, momentum, velocity].map(owned);
    let size = flat_vector_size(&variable);
    // SAFETY: the kernel ends units beyond the variable, and all four are equally long.
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
            (1.0 - step.beta_1) as f32,
            (1.0 - step.beta_2) as f32,
            step.epsilon as f32,
            step.alpha,
            elem(&gradient),
        );
    }
    (variable, vec![momentum, velocity])
}
