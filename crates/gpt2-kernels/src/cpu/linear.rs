//! `x W + b` and what follows it.

use pulp::{Simd, WithSimd};

use super::gelu::gelu_of;
use super::narrow_product::{MAX_ROWS, narrow_product};
use super::simd::{dispatch, load, store};
use super::threads::{Shared, write_all};
use super::wide_product::wide_product;

/// What is done with `x W + b`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Epilogue<'a> {
    /// Nothing.
    None,
    /// Its GELU is taken.
    Gelu,
    /// These numbers are added, as many as there are.
    Add(&'a [f32]),
}

/// `x [rows, inputs]`, `kernel [inputs, outputs]` and `bias [outputs]` to `[rows, outputs]`.
pub(crate) fn linear(
    x: &[f32],
    kernel: &[f32],
    bias: &[f32],
    rows: usize,
    epilogue: Epilogue<'_>,
) -> Vec<f32> {
    let finish = Finish { bias, epilogue };
    write_all(rows * bias.len(), |output: Shared<'_>| {
        if rows <= MAX_ROWS {
            narrow_product(x, kernel, rows, finish, output);
        } else {
            wide_product(x, kernel, rows, finish, output);
        }
    })
}

/// What is done with every sum of products.
#[derive(Clone, Copy)]
pub(crate) struct Finish<'a> {
    bias: &'a [f32],
    epilogue: Epilogue<'a>,
}

impl Finish<'_> {
    /// Finishes the sums of some outputs, the first of which is number `first` of all, and number
    /// `start` of its row.
    pub(crate) fn part(&self, first: usize, start: usize, sums: &mut [f32]) {
        let epilogue = match self.epilogue {
            Epilogue::Add(residual) => Epilogue::Add(&residual[first..first + sums.len()]),
            other => other,
        };
        dispatch(Part { bias: &self.bias[start..start + sums.len()], epilogue, sums });
    }
}

struct Part<'a> {
    bias: &'a [f32],
    epilogue: Epilogue<'a>,
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
                Epilogue::None => sum,
                Epilogue::Gelu => gelu_of(simd, sum),
                Epilogue::Add(residual) => simd.add_f32s(load(simd, residual, at), sum),
            };
            store(simd, sums, at, value);
        }
        let rest = &mut sums[whole..];
        let bias = simd.partial_load_f32s(&bias[whole..]);
        let sum = simd.add_f32s(simd.partial_load_f32s(rest), bias);
        let value = match epilogue {
            Epilogue::None => sum,
            Epilogue::Gelu => gelu_of(simd, sum),
            Epilogue::Add(residual) => {
                simd.add_f32s(simd.partial_load_f32s(&residual[whole..]), sum)
            }
        };
        simd.partial_store_f32s(rest, value);
    }
}
