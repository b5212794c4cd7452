//! Sums of what the units of a cube have.
//!
//! As loops: a barrier costs a driver for CPUs far more to compile than to pass.

use burn_cubecl::cubecl::{self, prelude::*};

/// The sum over all units, for all units. `shared` has a place for each.
#[cube]
pub(super) fn cube_sum(value: f32, shared: &mut Shared<[f32]>) -> f32 {
    let unit = UNIT_POS as usize;
    shared[unit] = value;
    sync_cube();
    let mut half = CUBE_DIM as usize / 2;
    while half > 0 {
        if unit < half {
            let other = shared[unit + half];
            shared[unit] += other;
        }
        sync_cube();
        half /= 2;
    }
    let sum = shared[0];
    // Nobody writes again before all have read.
    sync_cube();
    sum
}

/// As [`cube_sum`], of vectors, over the units that differ by a multiple of `lanes`; the result is
/// with the first `lanes` units, in `shared`.
#[cube]
pub(super) fn sum_slices<N: Size>(
    value: Vector<f32, N>,
    shared: &mut Shared<[Vector<f32, N>]>,
    #[comptime] lanes: usize,
) {
    let unit = UNIT_POS as usize;
    shared[unit] = value;
    sync_cube();
    let mut half = CUBE_DIM as usize / 2;
    while half >= lanes {
        if unit < half {
            let other = shared[unit + half];
            shared[unit] += other;
        }
        sync_cube();
        half /= 2;
    }
}
