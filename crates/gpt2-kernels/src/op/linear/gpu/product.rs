//! Products of few rows, which read the matrix once. They are most of the cost of a generated
//! token.

use burn_cubecl::cubecl::ir::ElemType;
use burn_cubecl::cubecl::{self, prelude::*};
use burn_cubecl::tensor::CubeTensor;

use super::epilogue::{EpilogueKind, finished};
use crate::gpu::launch::{
    UNITS, buffer, contiguous, cube_dim, cubes, elem, empty, rows_and_width, vector_size,
};
use crate::gpu::reduce::sum_slices;

/// Number of buffers of the kernel of three products, without those of sizes.
pub(super) const PROJECTION_BUFFERS: usize = 10;

/// Largest number of rows of these kernels. burn's matrix product computes more rows.
pub(crate) const MAX_ROWS: usize = 8;

/// Largest number of vectors of columns of a cube. Further units take other rows of the matrix.
const MAX_LANES: usize = 8;

/// Smallest transfer from memory, in bytes.
const SECTOR: usize = 32;

/// Number of cubes that keep a large device busy.
const ENOUGH_CUBES: usize = 128;

/// Constants for which a kernel is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Variant {
    rows: usize,
    /// Number of vectors of columns of a cube.
    lanes: usize,
    epilogue: EpilogueKind,
}

/// The matrix of a cube.
#[derive(Clone, Copy, CubeType, CubeLaunch)]
struct Matrix {
    inputs: usize,
    /// Number of vectors in a row.
    width: usize,
}

/// The columns of a cube.
#[derive(Clone, Copy, CubeType)]
struct Columns {
    matrix: Matrix,
    /// Index of the cube among those of the matrix.
    cube: usize,
}

/// Writes a cube's columns of `epilogue(x W + b)`, with `W` as `[inputs, outputs]`.
#[cube]
fn write_columns<X: Float, N: Size>(
    x: &[X],
    kernel: &[Vector<X, N>],
    bias: &[Vector<X, N>],
    residual: &[Vector<X, N>],
    output: &mut [Vector<X, N>],
    columns: &Columns,
    #[comptime] variant: Variant,
) {
    let unit = UNIT_POS as usize;
    let rows = comptime!(variant.rows);
    let lanes = comptime!(variant.lanes);
    let (inputs, width) = (columns.matrix.inputs, columns.matrix.width);
    let column = columns.cube * lanes + unit % lanes;
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
            output[place] =
                Vector::cast_from(finished(sum, residual, place, comptime!(variant.epilogue)));
        }
        sync_cube();
    }
}

#[cube(launch_unchecked)]
fn product_kernel<X: Float, N: Size>(
    x: &[X],
    kernel: &[Vector<X, N>],
    bias: &[Vector<X, N>],
    residual: &[Vector<X, N>],
    output: &mut [Vector<X, N>],
    matrix: Matrix,
    #[comptime] variant: Variant,
    #[define(X)] _x_type: ElemType,
) {
    let columns = Columns { matrix, cube: CUBE_POS };
    write_columns(x, kernel, bias, residual, output, &columns, variant);
}

/// Three products of the same rows, with `cubes` cubes each.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "ten buffers")]
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
    matrix: Matrix,
    cubes: usize,
    #[comptime] variant: Variant,
    #[define(X)] _x_type: ElemType,
) {
    let product = CUBE_POS / cubes;
    let columns = Columns { matrix, cube: CUBE_POS % cubes };
    if product == 0 {
        write_columns(x, kernel_0, bias_0, bias_0, output_0, &columns, variant);
    } else if product == 1 {
        write_columns(x, kernel_1, bias_1, bias_1, output_1, &columns, variant);
    } else if product == 2 {
        write_columns(x, kernel_2, bias_2, bias_2, output_2, &columns, variant);
    }
}

/// Number of vectors of columns of a cube. It is small enough for [`ENOUGH_CUBES`], but covers at
/// least one transfer from memory.
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
    epilogue: EpilogueKind,
    residual: Option<CubeTensor>,
) -> CubeTensor {
    let [x, kernel, bias] = [x, kernel, bias].map(contiguous);
    let residual = residual.map_or_else(|| bias.clone(), contiguous);
    let (rows, inputs) = rows_and_width(&x);
    let (_, width) = rows_and_width(&kernel);
    let size = vector_size(width);
    let lanes = lanes(&kernel, size, 1);
    let output = empty(&x, [rows, width], x.dtype);
    // SAFETY: the kernel skips columns past the width and reads only existing rows and inputs. The
    // residual, where it is read, has the output's shape.
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
            MatrixLaunch::new(inputs, width / size),
            Variant { rows, lanes, epilogue },
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
    // SAFETY: as in `product`; the three matrices have the same size.
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
            MatrixLaunch::new(inputs, width / size),
            count,
            Variant { rows, lanes, epilogue: EpilogueKind::None },
            elem(&x),
        );
    }
    outputs
}
