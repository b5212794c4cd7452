//! Sums and maxima over the units of a cube.
//!
//! Loops, not unrolled: a barrier costs a driver for CPUs far more to compile than to pass.

use burn_cubecl::cubecl::{self, prelude::*};

/// The sum over all units, for all units. `shared` has a place for each.
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
    // No unit writes again before all have read.
    sync_cube();
    sum
}

/// The largest value of all units, for all units. `shared` has a place for each.
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
    // No unit writes again before all have read.
    sync_cube();
    most
}

/// As [`cube_sum`], of vectors, over the units that differ by a multiple of `lanes`; the result is
/// with the first `lanes` units, in `shared`.
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

/// The largest value of all units and its place, for all units; of equal values the lowest place.
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
    // No unit writes again before all have read.
    sync_cube();
    best
}

/// The sum of what the units have that differ by a multiple of `stride`, in the order of their
/// numbers; the result is with the first `stride` units, and zero elsewhere.
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
    // No unit writes again before all have read.
    sync_cube();
    sum
}
