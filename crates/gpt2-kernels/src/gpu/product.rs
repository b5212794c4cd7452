//! Products of few rows with a matrix, which are read once: what a generated token costs.

use burn_cubecl::cubecl::ir::ElemType;
use burn_cubecl::cubecl::{self, prelude::*};
use burn_cubecl::tensor::CubeTensor;

use super::elementwise::{Epilogue, gelu_of};
use super::launch::{
    UNITS, buffer, contiguous, cube_dim, cubes, elem, empty, rows_and_width, vector_size,
};
use super::reduce::sum_slices;

/// Buffers of the kernel that has the most, besides sizes.
pub(super) const BINDINGS: usize = 10;

/// Most rows for which the matrix is read in step with them. More are burn's matrix product's.
pub(super) const MAX_ROWS: usize = 8;

/// Most vectors of columns that a cube computes; the other units take other rows of the matrix.
const MAX_LANES: usize = 8;

/// Bytes that memory gives at least.
const SECTOR: usize = 32;

/// As many cubes keep a large device busy.
const ENOUGH_CUBES: usize = 128;

/// Units that share a row of the table.
const DOT_UNITS: usize = 32;

/// The columns of `epilogue(x W + b)` that are the cube's with this number, where `W` lies as `[inputs,
/// outputs]`. Widths count vectors.
#[cube]
#[allow(clippy::too_many_arguments)]
fn columns<X: Float, N: Size>(
    x: &[X],
    kernel: &[Vector<X, N>],
    bias: &[Vector<X, N>],
    residual: &[Vector<X, N>],
    output: &mut [Vector<X, N>],
    cube: usize,
    inputs: usize,
    width: usize,
    #[comptime] rows: usize,
    #[comptime] lanes: usize,
    #[comptime] epilogue: Epilogue,
) {
    let unit = UNIT_POS as usize;
    let column = cube * lanes + unit % lanes;
    let mut sums = Array::<Vector<f32, N>>::new(rows);
    #[unroll]
    for row in 0..rows {
        sums[row] = Vector::new(0.0f32);
    }
    if column < width {
        for input in range_stepped(unit / lanes, inputs, comptime!(UNITS / lanes)) {
            let weights = Vector::<f32, N>::cast_from(kernel[input * width + column]);
            #[unroll]
            for row in 0..rows {
                let factor = f32::cast_from(x[row * inputs + input]);
                sums[row] += Vector::new(factor) * weights;
            }
        }
    }
    let mut shared = Shared::<[Vector<f32, N>]>::new_slice(UNITS);
    #[unroll]
    for row in 0..rows {
        sum_slices(sums[row], &mut shared, lanes);
        if unit < lanes && column < width {
            let place = row * width + column;
            let sum = shared[unit] + Vector::cast_from(bias[column]);
            output[place] = Vector::cast_from(match comptime!(epilogue) {
                Epilogue::None => sum,
                Epilogue::Gelu => gelu_of(sum),
                Epilogue::Add => sum + Vector::cast_from(residual[place]),
            });
        }
        sync_cube();
    }
}

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn product_kernel<X: Float, N: Size>(
    x: &[X],
    kernel: &[Vector<X, N>],
    bias: &[Vector<X, N>],
    residual: &[Vector<X, N>],
    output: &mut [Vector<X, N>],
    inputs: usize,
    width: usize,
    #[comptime] rows: usize,
    #[comptime] lanes: usize,
    #[comptime] epilogue: Epilogue,
    #[define(X)] _x_type: ElemType,
) {
    columns(x, kernel, bias, residual, output, CUBE_POS, inputs, width, rows, lanes, epilogue);
}

/// Three products of the same rows; `cubes` for each.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn projections_kernel<X: Float, N: Size>(
    x: &[X],
    kernel_0: &[Vector<X, N>],
    kernel_1: &[Vector<X, N>],
    kernel_2: &[Vector<X, N>],
    bias_0: &[Vector<X, N>],
    bias_1: &[Vector<X, N>],
    bias_2: &[Vector<X, N>],
    output_0: &mut [Vector<X, N>],
    output_1: &mut [Vector<X, N>],
    output_2: &mut [Vector<X, N>],
    inputs: usize,
    width: usize,
    cubes: usize,
    #[comptime] rows: usize,
    #[comptime] lanes: usize,
    #[define(X)] _x_type: ElemType,
) {
    let (matrix, cube) = (CUBE_POS / cubes, CUBE_POS % cubes);
    let epilogue = comptime!(Epilogue::None);
    if matrix == 0 {
        columns(x, kernel_0, bias_0, bias_0, output_0, cube, inputs, width, rows, lanes, epilogue);
    } else if matrix == 1 {
        columns(x, kernel_1, bias_1, bias_1, output_1, cube, inputs, width, rows, lanes, epilogue);
    } else if matrix == 2 {
        columns(x, kernel_2, bias_2, bias_2, output_2, cube, inputs, width, rows, lanes, epilogue);
    }
}

/// `hidden @ table^T`. Widths count vectors.
#[cube(launch_unchecked)]
fn dots_kernel<X: Float, W: Float, N: Size>(
    hidden: &[Vector<X, N>],
    table: &[Vector<W, N>],
    output: &mut [X],
    width: usize,
    outputs: usize,
    #[comptime] rows: usize,
    #[define(X)] _x_type: ElemType,
    #[define(W)] _w_type: ElemType,
) {
    let unit = UNIT_POS as usize;
    let lane = unit % DOT_UNITS;
    let entry = CUBE_POS * comptime!(UNITS / DOT_UNITS) + unit / DOT_UNITS;
    let mut sums = Array::<Vector<f32, N>>::new(rows);
    #[unroll]
    for row in 0..rows {
        sums[row] = Vector::new(0.0f32);
    }
    if entry < outputs {
        for place in range_stepped(lane, width, DOT_UNITS) {
            let weights = Vector::<f32, N>::cast_from(table[entry * width + place]);
            #[unroll]
            for row in 0..rows {
                sums[row] += Vector::cast_from(hidden[row * width + place]) * weights;
            }
        }
    }
    let mut shared = Shared::<[f32]>::new_slice(UNITS);
    #[unroll]
    for row in 0..rows {
        shared[unit] = Vector::vector_sum(sums[row]);
        sync_cube();
        let mut half = CUBE_DIM as usize / comptime!(2 * UNITS / DOT_UNITS);
        while half > 0 {
            if lane < half {
                let other = shared[unit + half];
                shared[unit] += other;
            }
            sync_cube();
            half /= 2;
        }
        if lane == 0 && entry < outputs {
            output[row * outputs + entry] = X::cast_from(shared[unit]);
        }
        sync_cube();
    }
}

/// Vectors of columns of a cube: few, where there would be too few cubes for a large device, but at
/// least as many as memory gives together.
fn lanes(kernel: &CubeTensor, vector: usize, matrices: usize) -> usize {
    let (_, width) = rows_and_width(kernel);
    let least = (SECTOR / (vector * kernel.elem_size())).clamp(1, MAX_LANES);
    let mut lanes = MAX_LANES;
    while lanes > least && matrices * (width / vector).div_ceil(lanes) < ENOUGH_CUBES {
        lanes /= 2;
    }
    lanes
}

/// `epilogue(x W + b)` of at most [`MAX_ROWS`] rows.
pub(super) fn product(
    x: CubeTensor,
    kernel: CubeTensor,
    bias: CubeTensor,
    epilogue: Epilogue,
    residual: Option<CubeTensor>,
) -> CubeTensor {
    let [x, kernel, bias] = [x, kernel, bias].map(contiguous);
    let residual = residual.map_or_else(|| bias.clone(), contiguous);
    let (rows, inputs) = rows_and_width(&x);
    let (_, width) = rows_and_width(&kernel);
    let size = vector_size(width);
    let lanes = lanes(&kernel, size, 1);
    let output = empty(&x, [rows, width], x.dtype);
    // SAFETY: the kernel skips columns beyond the width and goes through the rows and inputs that
    // there are; the residual, where it is read, has the output's shape.
    unsafe {
        product_kernel::launch_unchecked(
            &x.client,
            cubes((width / size).div_ceil(lanes)),
            cube_dim(),
            size,
            buffer(&x),
            buffer(&kernel),
            buffer(&bias),
            buffer(&residual),
            buffer(&output),
            inputs,
            width / size,
            rows,
            lanes,
            epilogue,
            elem(&x),
        );
    }
    output
}

/// `x W + b` of at most [`MAX_ROWS`] rows with three matrices of the same size.
pub(super) fn projections(
    x: CubeTensor,
    kernels: [CubeTensor; 3],
    biases: [CubeTensor; 3],
) -> [CubeTensor; 3] {
    let x = contiguous(x);
    let (kernels, biases) = (kernels.map(contiguous), biases.map(contiguous));
    let (rows, inputs) = rows_and_width(&x);
    let (_, width) = rows_and_width(&kernels[0]);
    let size = vector_size(width);
    let outputs = [(); 3].map(|()| empty(&x, [rows, width], x.dtype));
    let lanes = lanes(&kernels[0], size, 3);
    let count = (width / size).div_ceil(lanes);
    // SAFETY: as in `product`, and the matrices have one size.
    unsafe {
        projections_kernel::launch_unchecked(
            &x.client,
            cubes(3 * count),
            cube_dim(),
            size,
            buffer(&x),
            buffer(&kernels[0]),
            buffer(&kernels[1]),
            buffer(&kernels[2]),
            buffer(&biases[0]),
            buffer(&biases[1]),
            buffer(&biases[2]),
            buffer(&outputs[0]),
            buffer(&outputs[1]),
            buffer(&outputs[2]),
            inputs,
            width / size,
            count,
            rows,
            lanes,
            elem(&x),
        );
    }
    outputs
}

/// `hidden @ table^T` of at most [`MAX_ROWS`] rows.
pub(super) fn dots(hidden: CubeTensor, table: CubeTensor) -> CubeTensor {
    let [hidden, table] = [hidden, table].map(contiguous);
    let (rows, width) = rows_and_width(&hidden);
    let (outputs, _) = rows_and_width(&table);
    let size = vector_size(width);
    let output = empty(&hidden, [rows, outputs], hidden.dtype);
    // SAFETY: the kernel skips entries beyond the table and goes through the rows and the width
    // that there are.
    unsafe {
        dots_kernel::launch_unchecked(
            &hidden.client,
            cubes(outputs.div_ceil(UNITS / DOT_UNITS)),
            cube_dim(),
            size,
            buffer(&hidden),
            buffer(&table),
            buffer(&output),
            width / size,
            outputs,
            rows,
            elem(&hidden),
            elem(&table),
        );
    }
    output
}
