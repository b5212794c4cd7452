//! The next state of a step on a GPU, written in place.

use burn::backend::DType;
use burn::backend::ops::IntTensorOps;
use burn::backend::tensor::IntTensor;
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl::ir::ElemType;
use burn_cubecl::cubecl::{self, prelude::*};
use burn_cubecl::tensor::CubeTensor;

use super::AdvanceOps;
use super::tensors::StepTensors;
use crate::gpu::launch::{UNITS, buffer, cube_dim, cubes, elem, rows_and_width};

impl AdvanceOps for CubeBackend {
    fn fused_advance(
        state: StepTensors<Self>,
        chosen: IntTensor<Self>,
        vocabulary_size: usize,
    ) -> StepTensors<Self> {
        // The kernel reads and writes these tensors in place, even if other references to them are
        // held.
        let integers = [&state.position, &state.tokens, &state.forced];
        let floats = [&state.numbers, &state.all_numbers];
        assert!(
            integers.iter().all(|tensor| tensor.dtype == DType::I32)
                && floats.iter().all(|tensor| tensor.dtype == DType::F32),
            "a step's state has 32-bit integers and floats"
        );
        let chosen = match chosen.dtype {
            DType::I32 => chosen,
            _ => Self::int_cast(chosen, DType::I32.into()),
        };
        advance(&state, &chosen, vocabulary_size);
        state
    }
}

/// Sizes of the tensors.
#[derive(Debug, Clone, Copy, CubeLaunch, CubeType)]
struct Sizes {
    rows: usize,
    positions: usize,
    /// Largest id.
    last_token: usize,
}

/// Advances all rows, in one cube.
#[cube(launch_unchecked)]
fn advance_kernel<I: Int>(
    position: &mut [I],
    tokens: &mut [I],
    numbers: &mut [f32],
    chosen: &[I],
    all_numbers: &[f32],
    forced: &[I],
    sizes: Sizes,
    #[define(I)] _i_type: ElemType,
) {
    // Signed: the position before the first one is -1.
    let next = i32::cast_from(position[0]) + 1;
    for row in range_stepped(UNIT_POS as usize, sizes.rows, UNITS) {
        let here = min(next as usize, sizes.positions - 1) * sizes.rows + row;
        let after = min(next as usize + 1, sizes.positions - 1) * sizes.rows + row;
        let own = i32::cast_from(forced[here]);
        let other = min(i32::cast_from(chosen[row]), sizes.last_token as i32);
        tokens[row] = I::cast_from(select(own < 0i32, other, own));
        numbers[row] = all_numbers[after];
    }
    // All units must have read the position before it is written.
    sync_cube();
    if UNIT_POS == 0 {
        position[0] = I::cast_from(next);
    }
}

/// Advances position, tokens and random numbers to the next position, in place.
fn advance(state: &StepTensors<CubeBackend>, chosen: &CubeTensor, vocabulary_size: usize) {
    let (positions, rows) = rows_and_width(&state.forced);
    // SAFETY: the kernel reads and writes one entry a row, and clamps the position to the last.
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
            SizesLaunch::new(rows, positions, vocabulary_size - 1),
            elem(chosen),
        );
    }
}
