//! End of every product: bias and epilogue, while the sums are in the processor's cache.

use pulp::{Simd, WithSimd};

use crate::cpu::simd::{dispatch, load, store};
use crate::op::gelu::cpu::gelu_of;

/// The operation that follows `x W + b`.
#[derive(Debug, Clone, Copy)]
pub(super) enum SliceEpilogue<'a> {
    /// None.
    None,
    /// GELU.
    Gelu,
    /// The sum with a residual of the result's shape.
    Add(&'a [f32]),
}

/// Adds the bias to sums of products and applies the epilogue.
#[derive(Clone, Copy)]
pub(super) struct Finish<'a> {
    pub(super) bias: &'a [f32],
    pub(super) epilogue: SliceEpilogue<'a>,
}

impl Finish<'_> {
    /// Finishes the sums of consecutive outputs of a row. `first` is the index of the first one in
    /// all rows, `start` its index in the row.
    pub(super) fn part(&self, first: usize, start: usize, sums: &mut [f32]) {
        let epilogue = match self.epilogue {
            SliceEpilogue::Add(residual) => {
                SliceEpilogue::Add(&residual[first..first + sums.len()])
            }
            other => other,
        };
        dispatch(Part { bias: &self.bias[start..start + sums.len()], epilogue, sums });
    }
}

struct Part<'a> {
    bias: &'a [f32],
    epilogue: SliceEpilogue<'a>,
    sums: &'a mut [f32],
}

impl WithSimd for Part<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { bias, epilogue, sums } = self;
        let whole = sums.len() - sums.len() % S::F32_LANES;
        for at in (0..whole).step_by(S::F32_LANES) {
            let sum = simd.add_f32s(load(simd, sums, at), load(simd, bias, at));
            let value = match epilogue {
                SliceEpilogue::None => sum,
                SliceEpilogue::Gelu => gelu_of(simd, sum),
                SliceEpilogue::Add(residual) => simd.add_f32s(load(simd, residual, at), sum),
            };
            store(simd, sums, at, value);
        }
        let rest = &mut sums[whole..];
        let bias = simd.partial_load_f32s(&bias[whole..]);
        let sum = simd.add_f32s(simd.partial_load_f32s(rest), bias);
        let value = match epilogue {
            SliceEpilogue::None => sum,
            SliceEpilogue::Gelu => gelu_of(simd, sum),
            SliceEpilogue::Add(residual) => {
                simd.add_f32s(simd.partial_load_f32s(&residual[whole..]), sum)
            }
        };
        simd.partial_store_f32s(rest, value);
    }
}
