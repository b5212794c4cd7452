//! Layer normalisation on a GPU: a cube for each row.

use burn::backend::tensor::FloatTensor;
use burn::backend::{DType, TensorMetadata};
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl::ir::ElemType;
use burn_cubecl::cubecl::{self, prelude::*};
use burn_cubecl::tensor::CubeTensor;

use super::{LayerNormOps, composed};
use crate::gpu::launch::{UNITS, buffer, contiguous, cube_dim, cubes, elem, empty, rows_and_width};
use crate::gpu::reduce::{cube_sum, sum_slices};
use crate::gpu::tensors::{are_floats, has_kernel};

/// Number of columns whose gradients of scale and shift a cube sums.
const COLUMNS: usize = 32;

impl LayerNormOps for CubeBackend {
    fn fused_layer_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        if !are_floats(&[&x]) || !has_kernel(&[&gamma, &beta]) {
            return composed::layer_norm::<Self>(x, gamma, beta, epsilon);
        }
        layer_norm(x, gamma, beta, epsilon)
    }

    fn fused_layer_norm_backward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        if !has_kernel(&[&x, &gradient]) || !are_floats(&[&gamma]) {
            return composed::layer_norm_backward::<Self>(x, gamma, gradient, epsilon);
        }
        layer_norm_backward(x, gamma, gradient, epsilon)
    }
}

/// Sizes of the input, and epsilon.
#[derive(Debug, Clone, Copy, CubeLaunch, CubeType)]
struct Rows {
    count: usize,
    width: usize,
    epsilon: f32,
}

/// Mean of a row, and one over its standard deviation.
#[cube]
fn statistics<X: Float>(
    x: &[X],
    start: usize,
    rows: &Rows,
    shared: &mut Shared<[f32]>,
) -> (f32, f32) {
    let unit = UNIT_POS as usize;
    let width = rows.width;
    let mut sum = 0.0f32;
    for column in range_stepped(unit, width, UNITS) {
        sum += f32::cast_from(x[start + column]);
    }
    let mean = cube_sum(sum, shared) / width as f32;
    let mut squares = 0.0f32;
    for column in range_stepped(unit, width, UNITS) {
        let difference = f32::cast_from(x[start + column]) - mean;
        squares += difference * difference;
    }
    let variance = cube_sum(squares, shared) / width as f32;
    (mean, 1.0f32 / (variance + rows.epsilon).sqrt())
}

#[cube(launch_unchecked)]
fn layer_norm_kernel<X: Float, G: Float>(
    x: &[X],
    gamma: &[G],
    beta: &[G],
    output: &mut [X],
    rows: Rows,
    #[define(X)] _x_type: ElemType,
    #[define(G)] _g_type: ElemType,
) {
    if CUBE_POS >= rows.count {
        terminate!();
    }
    let width = rows.width;
    let mut shared = Shared::<[f32]>::new_slice(UNITS);
    let start = CUBE_POS * width;
    let (mean, scale) = statistics(x, start, &rows, &mut shared);
    for column in range_stepped(UNIT_POS as usize, width, UNITS) {
        let normal = (f32::cast_from(x[start + column]) - mean) * scale;
        let scaled = normal * f32::cast_from(gamma[column]) + f32::cast_from(beta[column]);
        output[start + column] = X::cast_from(scaled);
    }
}

/// Gradient by the input. Each row's mean and inverse deviation are kept for the other gradients.
#[cube(launch_unchecked)]
fn input_gradient_kernel<X: Float, G: Float>(
    x: &[X],
    gamma: &[G],
    gradient: &[X],
    output: &mut [X],
    kept: &mut [f32],
    rows: Rows,
    #[define(X)] _x_type: ElemType,
    #[define(G)] _g_type: ElemType,
) {
    if CUBE_POS >= rows.count {
        terminate!();
    }
    let unit = UNIT_POS as usize;
    let width = rows.width;
    let mut shared = Shared::<[f32]>::new_slice(UNITS);
    let start = CUBE_POS * width;
    let (mean, scale) = statistics(x, start, &rows, &mut shared);
    let mut sum = 0.0f32;
    let mut sum_normal = 0.0f32;
    for column in range_stepped(unit, width, UNITS) {
        let normal = (f32::cast_from(x[start + column]) - mean) * scale;
        let slope = f32::cast_from(gradient[start + column]) * f32::cast_from(gamma[column]);
        sum += slope;
        sum_normal += slope * normal;
    }
    let sum = cube_sum(sum, &mut shared) / width as f32;
    let sum_normal = cube_sum(sum_normal, &mut shared) / width as f32;
    for column in range_stepped(unit, width, UNITS) {
        let normal = (f32::cast_from(x[start + column]) - mean) * scale;
        let slope = f32::cast_from(gradient[start + column]) * f32::cast_from(gamma[column]);
        output[start + column] = X::cast_from((slope - sum - normal * sum_normal) * scale);
    }
    if unit == 0 {
        kept[2 * CUBE_POS] = mean;
        kept[2 * CUBE_POS + 1] = scale;
    }
}

/// Gradients by scale and shift: a cube for each [`COLUMNS`] columns.
#[cube(launch_unchecked)]
fn parameter_gradient_kernel<X: Float, G: Float>(
    x: &[X],
    gradient: &[X],
    kept: &[f32],
    gamma_gradient: &mut [G],
    beta_gradient: &mut [G],
    rows: usize,
    width: usize,
    #[define(X)] _x_type: ElemType,
    #[define(G)] _g_type: ElemType,
) {
    let unit = UNIT_POS as usize;
    let column = CUBE_POS * COLUMNS + unit % COLUMNS;
    let mut gamma = 0.0f32;
    let mut beta = 0.0f32;
    if column < width {
        for row in range_stepped(unit / COLUMNS, rows, UNITS / COLUMNS) {
            let place = row * width + column;
            let slope = f32::cast_from(gradient[place]);
            let normal = (f32::cast_from(x[place]) - kept[2 * row]) * kept[2 * row + 1];
            gamma += slope * normal;
            beta += slope;
        }
    }
    let mut shared = Shared::<[Vector<f32, Const<1>>]>::new_slice(UNITS);
    sum_slices(Vector::new(gamma), &mut shared, COLUMNS);
    if unit < COLUMNS && column < width {
        gamma_gradient[column] = G::cast_from(shared[unit].extract(0usize));
    }
    sync_cube();
    sum_slices(Vector::new(beta), &mut shared, COLUMNS);
    if unit < COLUMNS && column < width {
        beta_gradient[column] = G::cast_from(shared[unit].extract(0usize));
    }
}

fn layer_norm(x: CubeTensor, gamma: CubeTensor, beta: CubeTensor, epsilon: f64) -> CubeTensor {
    let [x, gamma, beta] = [x, gamma, beta].map(contiguous);
    let output = empty(&x, x.shape(), x.dtype);
    let (rows, width) = rows_and_width(&x);
    // SAFETY: the kernel stops cubes past the rows, and reads only up to the rows' width, which
    // scale and shift have too.
    unsafe {
        layer_norm_kernel::launch_unchecked(
            &x.client,
            cubes(rows),
            cube_dim(),
            buffer(&x),
            buffer(&gamma),
            buffer(&beta),
            buffer(&output),
            RowsLaunch::new(rows, width, epsilon as f32),
            elem(&x),
            elem(&gamma),
        );
    }
    output
}

fn layer_norm_backward(
    x: CubeTensor,
    gamma: CubeTensor,
    gradient: CubeTensor,
    epsilon: f64,
) -> (CubeTensor, CubeTensor, CubeTensor) {
    let [x, gamma, gradient] = [x, gamma, gradient].map(contiguous);
    let (rows, width) = rows_and_width(&x);
    let output = empty(&x, x.shape(), x.dtype);
    let kept = empty(&x, [rows, 2], DType::F32);
    let [by_gamma, by_beta] = [(); 2].map(|()| empty(&x, [width], gamma.dtype));
    // SAFETY: the first kernel stops cubes past the rows; the second skips columns past the width,
    // which scale, shift and their gradients have.
    unsafe {
        input_gradient_kernel::launch_unchecked(
            &x.client,
            cubes(rows),
            cube_dim(),
            buffer(&x),
            buffer(&gamma),
            buffer(&gradient),
            buffer(&output),
            buffer(&kept),
            RowsLaunch::new(rows, width, epsilon as f32),
            elem(&x),
            elem(&gamma),
        );
        parameter_gradient_kernel::launch_unchecked(
            &x.client,
            cubes(width.div_ceil(COLUMNS)),
            cube_dim(),
            buffer(&x),
            buffer(&gradient),
            buffer(&kept),
            buffer(&by_gamma),
            buffer(&by_beta),
            rows,
            width,
            elem(&x),
            elem(&gamma),
        );
    }
    (output, by_gamma, by_beta)
}
