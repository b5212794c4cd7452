//! A step of a generation whose position is on the device: what goes in, and how it goes on.

use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl::ir::ElemType;
use burn_cubecl::cubecl::{self, prelude::*};
use burn_cubecl::tensor::CubeTensor;

use super::launch::{
    UNITS, buffer, contiguous, cube_dim, cubes, elem, empty, rows_and_width, vector_size,
};
use crate::step_tensors::StepTensors;

/// Widths count vectors.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn embedding_kernel<X: Float, I: Int, N: Size>(
    tokens: &[I],
    position: &[I],
    token_table: &[Vector<X, N>],
    position_table: &[Vector<X, N>],
    output: &mut [Vector<X, N>],
    width: usize,
    entries: usize,
    positions: usize,
    count: usize,
    #[define(X)] _x_type: ElemType,
    #[define(I)] _i_type: ElemType,
) {
    let place = CUBE_POS * UNITS + UNIT_POS as usize;
    if place < count {
        let (row, column) = (place / width, place % width);
        let token = min(usize::cast_from(tokens[row]), entries - 1);
        let position = min(usize::cast_from(position[0]), positions - 1);
        output[place] =
            token_table[token * width + column] + position_table[position * width + column];
    }
}

/// One cube for all rows.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn advance_kernel<I: Int>(
    position: &mut [I],
    tokens: &mut [I],
    numbers: &mut [f32],
    chosen: &[I],
    all_numbers: &[f32],
    forced: &[I],
    rows: usize,
    positions: usize,
    last_token: usize,
    #[define(I)] _i_type: ElemType,
) {
    // As numbers, since the first position may be behind -1.
    let next = i32::cast_from(position[0]) + 1;
    for row in range_stepped(UNIT_POS as usize, rows, UNITS) {
        let here = min(next as usize, positions - 1) * rows + row;
        let behind = min(next as usize + 1, positions - 1) * rows + row;
        let own = i32::cast_from(forced[here]);
        let other = min(i32::cast_from(chosen[row]), last_token as i32);
        tokens[row] = I::cast_from(select(own < 0i32, other, own));
        numbers[row] = all_numbers[behind];
    }
    // All have read it.
    sync_cube();
    if UNIT_POS == 0 {
        position[0] = I::cast_from(next);
    }
}

/// The sum of the vectors of tokens, `[rows]`, and of the position, `[1]`: `[rows, 1, hidden_dim]`.
pub(super) fn embedding(
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
    // SAFETY: the kernel skips places beyond the count, and reads no entries beyond the tables.
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
            width / size,
            entries,
            positions,
            count,
            elem(&token_table),
            elem(&tokens),
        );
    }
    output
}

/// Takes position, tokens and numbers to the next position, in place.
pub(super) fn advance(
    state: &StepTensors<CubeBackend>,
    chosen: &CubeTensor,
    vocabulary_size: usize,
) {
    let (positions, rows) = rows_and_width(&state.forced);
    // SAFETY: the kernel reads and writes an entry for each row of the position, and of none beyond
    // the last.
    unsafe {
        advance_kernel::launch_unchecked(
            &chosen.client,
            cubes(1),
            cube_dim(),
            buffer(&state.position),
            buffer(&state.tokens),
            buffer(&state.numbers),
            buffer(chosen),
            buffer(&state.all_numbers),
            buffer(&state.forced),
            rows,
            positions,
            vocabulary_size - 1,
            elem(chosen),
        );
    }
}
