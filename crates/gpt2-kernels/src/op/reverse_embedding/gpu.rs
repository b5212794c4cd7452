//! Products of few rows with the rows of a table on a GPU.

use burn::backend::TensorMetadata;
use burn::backend::tensor::FloatTensor;
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl::ir::ElemType;
use burn_cubecl::cubecl::{self, prelude::*};
use burn_cubecl::tensor::CubeTensor;

use super::{ReverseEmbeddingOps, composed};
use crate::gpu::launch::{
    UNITS, buffer, contiguous, cube_dim, cubes, elem, empty, rows_and_width, vector_size,
};
use crate::gpu::tensors::has_kernel;
use crate::op::linear::gpu::product::MAX_ROWS;

/// Number of units that share a row of the table.
const DOT_UNITS: usize = 32;

impl ReverseEmbeddingOps for CubeBackend {
    fn fused_reverse_embedding(
        hidden: FloatTensor<Self>,
        table: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        if !has_kernel(&[&hidden, &table]) || hidden.shape()[0] > MAX_ROWS {
            return composed::reverse_embedding::<Self>(hidden, table);
        }
        dots(hidden, table)
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

/// `hidden @ table^T` of at most [`MAX_ROWS`] rows.
fn dots(hidden: CubeTensor, table: CubeTensor) -> CubeTensor {
    let [hidden, table] = [hidden, table].map(contiguous);
    let (rows, width) = rows_and_width(&hidden);
    let (outputs, _) = rows_and_width(&table);
    let size = vector_size(width);
    let output = empty(&hidden, [rows, outputs], hidden.dtype);
    // SAFETY: the kernel skips entries past the table and reads only existing rows and columns.
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
