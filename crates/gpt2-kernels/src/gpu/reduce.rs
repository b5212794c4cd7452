//! Sums and maxima over the units of a cube.
//!
//! The loops are not unrolled: a driver for CPUs takes far longer to compile a barrier than to pass
//! it.

use burn_cubecl::cubecl::{self, prelude::*};

/// Sum over all units, returned to all. `shared` has one entry a unit.
#[cube]
pub(crate) fn cube_sum(value: f32, shared: &mut Shared<[f32]>) -> f32 {
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
    // All units must have read before one writes again.
    sync_cube();
    sum
}

/// Maximum over all units, returned to all. `shared` has one entry a unit.
#[cube]
pub(crate) fn cube_max(value: f32, shared: &mut Shared<[f32]>) -> f32 {
    let unit = UNIT_POS as usize;
    shared[unit] = value;
    sync_cube();
    let mut half = CUBE_DIM as usize / 2;
    while half > 0 {
        if unit < half {
            shared[unit] = max(shared[unit], shared[unit + half]);
        }
        sync_cube();
        half /= 2;
    }
    let most = shared[0];
    // All units must have read before one writes again.
    sync_cube();
    most
}

/// Sums vectors over the units whose indices are equal modulo `lanes`. The first `lanes` entries of
/// `shared` hold the results.
#[cube]
pub(crate) fn sum_slices<N: Size>(
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

/// Largest value and its position, returned to all units. Of equal values the lowest position wins.
#[cube]
pub(crate) fn cube_best(
    value: f32,
    place: u32,
    values: &mut Shared<[f32]>,
    places: &mut Shared<[u32]>,
) -> (f32, u32) {
    let unit = UNIT_POS as usize;
    values[unit] = value;
    places[unit] = place;
    sync_cube();
    let mut half = CUBE_DIM as usize / 2;
    while half > 0 {
        if unit < half {
            let (here, there) = (values[unit], values[unit + half]);
            let (place_here, place_there) = (places[unit], places[unit + half]);
            if there > here || (there == here && place_there < place_here) {
                values[unit] = there;
                places[unit] = place_there;
            }
        }
        sync_cube();
        half /= 2;
    }
    let best = (values[0], places[0]);
    // All units must have read before one writes again.
    sync_cube();
    best
}

/// Sums values over the units whose indices are equal modulo `stride`, in ascending order. The
/// first `stride` units receive the result, the others zero.
#[cube]
pub(crate) fn sum_in_order<N: Size>(
    value: Vector<f32, N>,
    shared: &mut Shared<[Vector<f32, N>]>,
    #[comptime] stride: usize,
    #[comptime] slices: usize,
) -> Vector<f32, N> {
    let unit = UNIT_POS as usize;
    shared[unit] = value;
    sync_cube();
    let mut sum = Vector::<f32, N>::new(0.0f32);
    if unit < stride {
        #[unroll]
        for slice in 0..slices {
            sum += shared[unit + slice * stride];
        }
    }
    // All units must have read before one writes again.
    sync_cube();
    sum
}
