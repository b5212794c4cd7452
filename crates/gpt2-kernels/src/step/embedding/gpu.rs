//! The embedding of a step on a GPU.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl::ir::ElemType;
use burn_cubecl::cubecl::{self, prelude::*};
use burn_cubecl::tensor::CubeTensor;

use super::StepEmbeddingOps;
use crate::gpu::launch::{
    UNITS, buffer, contiguous, cube_dim, cubes, elem, empty, rows_and_width, vector_size,
};
use crate::gpu::tensors::has_kernel;

impl StepEmbeddingOps for CubeBackend {
    fn fused_step_embedding(
        tokens: IntTensor<Self>,
        position: IntTensor<Self>,
        token_table: FloatTensor<Self>,
        position_table: FloatTensor<Self>,
    ) -> Option<FloatTensor<Self>> {
        has_kernel(&[&token_table, &position_table])
            .then(|| embedding(tokens, position, token_table, position_table))
    }
}

/// Sizes of the tensors; widths count vectors.
#[derive(Debug, Clone, Copy, CubeLaunch, CubeType)]
struct Sizes {
    /// Width of a table.
    width: usize,
    /// Rows of the token table.
    entries: usize,
    /// Rows of the position table.
    positions: usize,
    /// Number of vectors of the output.
    count: usize,
}

#[cube(launch_unchecked)]
fn embedding_kernel<X: Float, I: Int, N: Size>(
    tokens: &[I],
    position: &[I],
    token_table: &[Vector<X, N>],
    position_table: &[Vector<X, N>],
    output: &mut [Vector<X, N>],
    sizes: Sizes,
    #[define(X)] _x_type: ElemType,
    #[define(I)] _i_type: ElemType,
) {
    let place = CUBE_POS * UNITS + UNIT_POS as usize;
    if place < sizes.count {
        let (row, column) = (place / sizes.width, place % sizes.width);
        let token = min(usize::cast_from(tokens[row]), sizes.entries - 1);
        let position = min(usize::cast_from(position[0]), sizes.positions - 1);
        output[place] = token_table[token * sizes.width + column]
            + position_table[position * sizes.width + column];
    }
}

/// Sum of the embeddings of tokens, `[rows]`, and of the position, `[1]`: `[rows, 1, hidden_dim]`.
fn embedding(
    tokens: CubeTensor,
    position: CubeTensor,
    token_table: CubeTensor,
    position_table: CubeTensor,
) -> CubeTensor {
    let [tokens, position] = [tokens, position].map(contiguous);
    let [token_table, position_table] = [token_table, position_table].map(contiguous);
    let (entries, width) = rows_and_width(&token_table);
    let (positions, _) = rows_and_width(&position_table);
    let (_, rows) = rows_and_width(&tokens);
    let output = empty(&token_table, [rows, 1, width], token_table.dtype);
    let size = vector_size(width);
    let count = rows * width / size;
    // SAFETY: the kernel skips indices past the count, and reads only entries of the tables.
    unsafe {
        embedding_kernel::launch_unchecked(
            &token_table.client,
            cubes(count.div_ceil(UNITS)),
            cube_dim(),
            size,
            buffer(&tokens),
            buffer(&position),
            buffer(&token_table),
            buffer(&position_table),
            buffer(&output),
            SizesLaunch::new(width / size, entries, positions, count),
            elem(&token_table),
            elem(&tokens),
        );
    }
    output
}
