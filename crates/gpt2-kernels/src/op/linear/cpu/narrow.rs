//! Products with few rows, as in decoding: all cores together read every weight once.

use pulp::{Simd, WithSimd};

use super::operands::Operands;
use crate::cpu::simd::{dispatch, load, prefetch, store};
use crate::cpu::threads::{Shared, for_each};

/// Number of rows up to which these products are faster than the general one.
pub(crate) const MAX_ROWS: usize = 16;

/// Number of rows that are computed together.
const ROWS: usize = 8;
/// Number of inputs of a block; the blocks' sums are joined at the end.
pub(super) const DEPTH: usize = 192;
/// Number of outputs a task.
const WIDTH: usize = 768;
/// Number of inputs whose weights are read side by side.
const UNROLL: usize = 8;

/// Computes the product and its epilogue, `[rows, outputs]`.
///
/// Each block of [`DEPTH`] inputs is summed separately, then the sums are joined. A block is a
/// contiguous piece of the kernel, so that memory is read at its full rate. The blocks do not
/// depend on the number of threads.
pub(super) fn narrow_product(operands: Operands<'_>, output: Shared<'_>) {
    let Operands { x, kernel, rows, inputs, outputs, finish } = operands;
    let (blocks, panels) = (inputs.div_ceil(DEPTH), outputs.div_ceil(WIDTH));
    let mut sums = vec![0f32; blocks * rows * outputs];
    let shared = Shared::new(&mut sums);
    for_each(blocks * panels, rows * inputs * outputs, |task| {
        let (block, panel) = (task / panels, task % panels);
        let (first, start) = (block * DEPTH, panel * WIDTH);
        let depth = DEPTH.min(inputs - first);
        let width = WIDTH.min(outputs - start);
        for row in (0..rows).step_by(ROWS) {
            let count = ROWS.min(rows - row);
            let mut targets: [&mut [f32]; ROWS] = Default::default();
            for (index, target) in targets[..count].iter_mut().enumerate() {
                let at = (block * rows + row + index) * outputs + start;
                // SAFETY: the part belongs to this block, row and panel alone.
                *target = unsafe { shared.part(at, width) };
            }
            let x = &x[row * inputs + first..];
            let kernel = &kernel[first * outputs + start..];
            Block { x, inputs, kernel, outputs, depth, width }.run(&mut targets[..count]);
        }
    });
    for_each(rows * panels, 4 * sums.len(), |task| {
        let (row, start) = (task / panels, task % panels * WIDTH);
        let first = row * outputs + start;
        let width = WIDTH.min(outputs - start);
        // SAFETY: these outputs belong to this task alone.
        let output = unsafe { output.part(first, width) };
        dispatch(Join { sums: &sums[first..], stride: rows * outputs, output });
        finish.part(first, start, output);
    });
}

/// Adds up the sums of all blocks.
struct Join<'a> {
    sums: &'a [f32],
    stride: usize,
    output: &'a mut [f32],
}

impl WithSimd for Join<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { sums, stride, output } = self;
        let whole = output.len() - output.len() % S::F32_LANES;
        for at in (0..whole).step_by(S::F32_LANES) {
            let mut sum = load(simd, sums, at);
            for block in (at + stride..sums.len()).step_by(stride) {
                sum = simd.add_f32s(sum, load(simd, sums, block));
            }
            store(simd, output, at, sum);
        }
        for (at, output) in output.iter_mut().enumerate().skip(whole) {
            *output = sums[at];
            for block in (at + stride..sums.len()).step_by(stride) {
                *output += sums[block];
            }
        }
    }
}

/// A range of outputs and inputs.
struct Block<'a> {
    x: &'a [f32],
    inputs: usize,
    kernel: &'a [f32],
    outputs: usize,
    depth: usize,
    width: usize,
}

impl Block<'_> {
    fn run(&self, targets: &mut [&mut [f32]]) {
        match targets {
            [a] => dispatch(Product { block: self, targets: [a] }),
            [a, b] => dispatch(Product { block: self, targets: [a, b] }),
            [a, b, c] => dispatch(Product { block: self, targets: [a, b, c] }),
            [a, b, c, d] => dispatch(Product { block: self, targets: [a, b, c, d] }),
            [a, b, c, d, e] => dispatch(Product { block: self, targets: [a, b, c, d, e] }),
            [a, b, c, d, e, f] => dispatch(Product { block: self, targets: [a, b, c, d, e, f] }),
            [a, b, c, d, e, f, g] => {
                dispatch(Product { block: self, targets: [a, b, c, d, e, f, g] });
            }
            [a, b, c, d, e, f, g, h] => {
                dispatch(Product { block: self, targets: [a, b, c, d, e, f, g, h] });
            }
            _ => unreachable!("a block has between 1 and {ROWS} rows"),
        }
    }
}

/// A block with a number of rows that is known to the compiler.
struct Product<'a, 'b, const M: usize> {
    block: &'a Block<'b>,
    targets: [&'a mut [f32]; M],
}

impl<const M: usize> WithSimd for Product<'_, '_, M> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let depth = self.block.depth;
        let whole = depth - depth % UNROLL;
        for k in (0..whole).step_by(UNROLL) {
            self.add::<S, UNROLL>(simd, k);
        }
        for k in whole..depth {
            self.add::<S, 1>(simd, k);
        }
    }
}

impl<const M: usize> Product<'_, '_, M> {
    /// Adds the products of `U` inputs from `k` on to every output.
    #[inline(always)]
    fn add<S: Simd, const U: usize>(&mut self, simd: S, k: usize) {
        let Block { x, inputs, kernel, outputs, width, .. } = *self.block;
        let lanes = S::F32_LANES;
        let whole = width - width % lanes;
        let weights: [&[f32]; U] = std::array::from_fn(|u| &kernel[(k + u) * outputs..][..width]);
        let x: [[f32; U]; M] =
            std::array::from_fn(|m| std::array::from_fn(|u| x[m * inputs + k + u]));
        let (mut ahead, mut row_end) = ((k + U) * outputs, width as isize);
        for at in (0..whole).step_by(lanes) {
            // Prefetches the next inputs' weights, row after row of memory: processors read one
            // stream far faster than the eight streams of the sums.
            prefetch(kernel, ahead, U * lanes);
            row_end -= (U * lanes) as isize;
            ahead += U * lanes;
            if row_end <= 0 {
                ahead = (ahead as isize + row_end) as usize + outputs - width;
                row_end = width as isize;
            }
            let w: [S::f32s; U] = std::array::from_fn(|u| load(simd, weights[u], at));
            for m in 0..M {
                let mut sum = load(simd, self.targets[m], at);
                for u in 0..U {
                    sum = simd.mul_add_e_f32s(simd.splat_f32s(x[m][u]), w[u], sum);
                }
                store(simd, self.targets[m], at, sum);
            }
        }
        if whole < width {
            let w: [S::f32s; U] =
                std::array::from_fn(|u| simd.partial_load_f32s(&weights[u][whole..]));
            for m in 0..M {
                let mut sum = simd.partial_load_f32s(&self.targets[m][whole..]);
                for u in 0..U {
                    sum = simd.mul_add_e_f32s(simd.splat_f32s(x[m][u]), w[u], sum);
                }
                simd.partial_store_f32s(&mut self.targets[m][whole..], sum);
            }
        }
    }
}
