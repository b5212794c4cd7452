//! Products of few rows with a matrix, which are read once: what a generated token costs.

use burn_cubecl::cubecl::ir::ElemType;
use burn_cubecl::cubecl::{self, prelude::*};
use burn_cubecl::tensor::CubeTensor;

use super::elementwise::{Epilogue, gelu_of};
use super::launch::{
    UNITS, buffer, contiguous, cube_dim, cubes, elem, empty, rows_and_width, vector_size,
};
use super::reduce::sum_slices;

/// Most rows for which the matrix is read in step with them. More are burn's matrix product's.
pub(super) const MAX_ROWS: usize = 8;

/// Vectors of columns that a cube computes; the other units take other rows of the matrix.
const LANES: usize = 8;

/// Units that share a row of the table.
const DOT_UNITS: usize = 32;

/// `epilogue(x W + b)`, where `W` lies as `[inputs, outputs]`. Widths count vectors.
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
    #[comptime] epilogue: Epilogue,
    #[define(X)] _x_type: ElemType,
) {
    let unit = UNIT_POS as usize;
    let column = CUBE_POS * LANES + unit % LANES;
    let mut sums = Array::<Vector<f32, N>>::new(rows);
    #[unroll]
    for row in 0..rows {
        sums[row] = Vector::new(0.0f32);
    }
    if column < width {
        for input in range_stepped(unit / LANES, inputs, comptime!(UNITS / LANES)) {
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
        sum_slices(sums[row], &mut shared, LANES);
        if unit < LANES && column < width {
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
    let output = empty(&x, [rows, width], x.dtype);
    // SAFETY: the kernel skips columns beyond the width and goes through the rows and inputs that
    // there are; the residual, where it is read, has the output's shape.
    unsafe {
        product_kernel::launch_unchecked(
            &x.client,
            cubes((width / size).div_ceil(LANES)),
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
            epilogue,
            elem(&x),
        );
    }
    output
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
