//! Cross-entropy of logits on a GPU, whose gradient replaces the logits. One cube a row.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{DType, TensorMetadata};
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl::ir::ElemType;
use burn_cubecl::cubecl::{self, prelude::*};
use burn_cubecl::tensor::CubeTensor;

use super::{CrossEntropyOps, composed};
use crate::gpu::launch::{
    UNITS, buffer, contiguous, cube_dim, cubes, elem, empty, owned, rows_and_width,
};
use crate::gpu::reduce::{cube_best, cube_sum};
use crate::gpu::tensors::has_kernel;

impl CrossEntropyOps for CubeBackend {
    fn fused_logit_losses(
        logits: FloatTensor<Self>,
        targets: IntTensor<Self>,
        factors: FloatTensor<Self>,
        slope: bool,
    ) -> (FloatTensor<Self>, IntTensor<Self>, Option<FloatTensor<Self>>) {
        if !has_kernel(&[&logits]) || logits.dtype != DType::F32 {
            return composed::logit_losses::<Self>(logits, targets, factors, slope);
        }
        cross_entropy(logits, targets, slope.then_some(factors))
    }
}

/// Sizes of the logits.
#[derive(Debug, Clone, Copy, CubeLaunch, CubeType)]
struct Sizes {
    rows: usize,
    width: usize,
}

/// Computes losses. With `slope`, replaces the logits by their gradient: `(softmax - one_hot) *
/// factor`.
#[cube(launch_unchecked)]
fn cross_entropy_kernel<I: Int>(
    logits: &mut [f32],
    targets: &[I],
    factors: &[f32],
    losses: &mut [f32],
    best: &mut [I],
    sizes: Sizes,
    #[comptime] slope: bool,
    #[define(I)] _i_type: ElemType,
) {
    if CUBE_POS >= sizes.rows {
        terminate!();
    }
    let width = sizes.width;
    let unit = UNIT_POS as usize;
    let mut shared = Shared::<[f32]>::new_slice(UNITS);
    let mut places = Shared::<[u32]>::new_slice(UNITS);
    let start = CUBE_POS * width;
    let mut value = f32::new(f32::MIN);
    let mut place = 0u32;
    for column in range_stepped(unit, width, UNITS) {
        let logit = logits[start + column];
        if logit > value {
            value = logit;
            place = column as u32;
        }
    }
    let (largest, place) = cube_best(value, place, &mut shared, &mut places);
    let mut sum = 0.0f32;
    for column in range_stepped(unit, width, UNITS) {
        sum += (logits[start + column] - largest).exp();
    }
    let sum = cube_sum(sum, &mut shared);
    let target = usize::cast_from(targets[CUBE_POS]);
    if unit == 0 {
        losses[CUBE_POS] = sum.ln() - (logits[start + target] - largest);
        best[CUBE_POS] = I::cast_from(place);
    }
    if comptime!(slope) {
        // The loss reads the logits before they are replaced.
        sync_storage();
        let factor = factors[CUBE_POS];
        for column in range_stepped(unit, width, UNITS) {
            let probability = (logits[start + column] - largest).exp() / sum;
            let one_hot = select(column == target, 1.0f32, 0.0f32);
            logits[start + column] = (probability - one_hot) * factor;
        }
    }
}

/// Losses and most probable tokens of logits, `[rows, vocabulary_size]` in 32-bit floats. If
/// `factors` are given, the gradient by the logits too.
fn cross_entropy(
    logits: CubeTensor,
    targets: CubeTensor,
    factors: Option<CubeTensor>,
) -> (CubeTensor, CubeTensor, Option<CubeTensor>) {
    let slope = factors.is_some();
    let logits = if slope { owned(logits) } else { contiguous(logits) };
    let targets = contiguous(targets);
    let (rows, width) = rows_and_width(&logits);
    let losses = empty(&logits, [rows], DType::F32);
    let best = empty(&logits, [rows], targets.dtype());
    let factors = factors.map_or_else(|| losses.clone(), contiguous);
    // SAFETY: the kernel stops cubes past the rows; every other tensor has one element a row. The
    // caller promises that targets are below the width.
    unsafe {
        cross_entropy_kernel::launch_unchecked(
            &logits.client,
            cubes(rows),
            cube_dim(),
            buffer(&logits),
            buffer(&targets),
            buffer(&factors),
            buffer(&losses),
            buffer(&best),
            SizesLaunch::new(rows, width),
            slope,
            elem(&targets),
        );
    }
    (losses, best, slope.then_some(logits))
}
