//! `x W + b` and what follows it, in one pass over the result.

use pulp::{Simd, WithSimd};

use super::gelu::gelu_of;
use super::narrow_product::{MAX_ROWS, partial_sums};
use super::product::{Matrix, Product};
use super::simd::{dispatch, load, store};
use super::threads::{CHUNK, Shared, for_each};

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
    let outputs = bias.len();
    let mut sums = if rows <= MAX_ROWS {
        partial_sums(x, kernel, rows, outputs)
    } else {
        let mut product = vec![0f32; rows * outputs];
        let (x, kernel) = (Matrix::rows(x, x.len() / rows), Matrix::rows(kernel, outputs));
        Product::of(x, kernel).on_all_cores().write(rows, &mut product);
        product
    };
    finish(&mut sums, bias, rows, epilogue);
    sums.truncate(rows * outputs);
    sums
}

/// Adds all blocks of sums to the first, and the bias, and does the rest.
fn finish(sums: &mut [f32], bias: &[f32], rows: usize, epilogue: Epilogue<'_>) {
    let outputs = bias.len();
    let (output, blocks) = sums.split_at_mut(rows * outputs);
    // Whole rows where they are short, parts of one where they are long.
    let width = outputs.min(CHUNK / 4);
    let panels = outputs.div_ceil(width);
    let shared = Shared::new(output);
    let work = (1 + blocks.len() / (rows * outputs)) * rows * outputs;
    for_each(rows * panels, work, |task| {
        let start = task % panels * width;
        let width = width.min(outputs - start);
        let first = task / panels * outputs + start;
        // SAFETY: the outputs belong to this task alone.
        let output = unsafe { shared.part(first, width) };
        let bias = &bias[start..start + width];
        let epilogue = match epilogue {
            Epilogue::Add(residual) => Epilogue::Add(&residual[first..first + width]),
            other => other,
        };
        dispatch(Finish {
            output,
            blocks: &blocks[..],
            first,
            stride: rows * outputs,
            bias,
            epilogue,
        });
    });
}

struct Finish<'a> {
    output: &'a mut [f32],
    blocks: &'a [f32],
    first: usize,
    stride: usize,
    bias: &'a [f32],
    epilogue: Epilogue<'a>,
}

impl WithSimd for Finish<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { output, blocks, first, stride, bias, epilogue } = self;
        let whole = output.len() - output.len() % S::F32_LANES;
        for at in (0..whole).step_by(S::F32_LANES) {
            let mut sum = load(simd, output, at);
            for block in (first..blocks.len()).step_by(stride) {
                sum = simd.add_f32s(sum, load(simd, blocks, block + at));
            }
            sum = simd.add_f32s(sum, load(simd, bias, at));
            let value = match epilogue {
                Epilogue::None => sum,
                Epilogue::Gelu => gelu_of(simd, sum),
                Epilogue::Add(residual) => simd.add_f32s(load(simd, residual, at), sum),
            };
            store(simd, output, at, value);
        }
        let rest = &mut output[whole..];
        let length = rest.len();
        let mut sum = simd.partial_load_f32s(rest);
        for block in (first + whole..blocks.len()).step_by(stride) {
            sum = simd.add_f32s(sum, simd.partial_load_f32s(&blocks[block..block + length]));
        }
        sum = simd.add_f32s(sum, simd.partial_load_f32s(&bias[whole..]));
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
