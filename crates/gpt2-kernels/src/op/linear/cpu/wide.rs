//! Products with many rows, as in prefill. A block of weights is packed for the processor's
//! registers once and used for all rows.
//!
//! Sums have the order of [`narrow_product`](super::narrow::narrow_product): a row gives the same
//! result, bit for bit, alone and in a batch.

use std::cell::RefCell;
use std::hint::black_box;

use pulp::{Simd, WithSimd};

use super::narrow::DEPTH;
use super::operands::Operands;
use crate::cpu::simd::{dispatch, load, load_unchecked, prefetch, store};
use crate::cpu::threads::{Shared, for_each, number_of_cores};

/// Largest number of outputs a task: with [`DEPTH`] inputs 300 KB of weights, which stay in a
/// core's cache.
const WIDTH: usize = 384;
/// Number of vectors in a tile's row.
const VECTORS: usize = 3;
/// Largest width of a tile, with the widest vectors.
const WIDEST: usize = VECTORS * 16;

thread_local! {
    /// Packed weights.
    static PACKED: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Computes the product and its epilogue, `[rows, outputs]`.
pub(super) fn wide_product(operands: Operands<'_>, output: Shared<'_>) {
    let Operands { x, kernel, rows, inputs, outputs, finish } = operands;
    // The width gives every core work; the sums do not depend on it.
    let share = outputs.div_ceil(number_of_cores()).next_multiple_of(WIDEST);
    let width = share.min(WIDTH);
    for_each(outputs.div_ceil(width), rows * inputs * outputs, |task| {
        let start = task * width;
        let width = width.min(outputs - start);
        PACKED.with_borrow_mut(|packed| {
            packed.resize(DEPTH * WIDTH, 0.0);
            for first in (0..inputs).step_by(DEPTH) {
                let depth = DEPTH.min(inputs - first);
                // Prefetches the next block of this task, or the first of the next task.
                let last = first + DEPTH >= inputs;
                let next = if last { start + width } else { (first + DEPTH) * outputs + start };
                dispatch(Panel {
                    x: &x[first..],
                    inputs,
                    rows,
                    depth,
                    kernel: &kernel[first * outputs + start..],
                    outputs,
                    width,
                    next: kernel.get(next..).unwrap_or_default(),
                    packed: &mut *packed,
                    output,
                    start,
                    is_first: first == 0,
                });
            }
        });
        for row in 0..rows {
            // SAFETY: these outputs belong to this task alone.
            finish.part(row * outputs + start, start, unsafe {
                output.part(row * outputs + start, width)
            });
        }
    });
}

/// A range of outputs of all rows, from a range of inputs.
struct Panel<'a> {
    /// Starts at the first of the inputs.
    x: &'a [f32],
    inputs: usize,
    rows: usize,
    depth: usize,
    /// Starts at the first of the inputs and outputs.
    kernel: &'a [f32],
    outputs: usize,
    width: usize,
    /// Starts at the block that is probably the next.
    next: &'a [f32],
    packed: &'a mut [f32],
    output: Shared<'a>,
    start: usize,
    /// Whether this block's sums replace the output, which later blocks add to.
    is_first: bool,
}

impl WithSimd for Panel<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let mut row = 0;
        // 24 of 32 registers hold sums, or 12 of 16.
        if S::REGISTER_COUNT >= 32 {
            while row + 8 <= self.rows {
                self.tiles::<S, 8>(simd, row);
                row += 8;
            }
        }
        while row + 4 <= self.rows {
            self.tiles::<S, 4>(simd, row);
            row += 4;
        }
        for row in row..self.rows {
            self.tiles::<S, 1>(simd, row);
        }
    }
}

impl Panel<'_> {
    /// Computes `M` rows of all tiles.
    #[inline(always)]
    fn tiles<S: Simd, const M: usize>(&mut self, simd: S, row: usize) {
        let (tile, depth) = (VECTORS * S::F32_LANES, self.depth);
        let x: [&[f32]; M] = std::array::from_fn(|m| &self.x[(row + m) * self.inputs..][..depth]);
        // All rows together prefetch the next block's weights, each tile its columns.
        let asked = row * depth / self.rows;
        let share = (row + M) * depth / self.rows - asked;
        for (index, column) in (0..self.width).step_by(tile).enumerate() {
            let packed = &mut self.packed[index * depth * tile..][..depth * tile];
            let width = tile.min(self.width - column);
            let ahead = Ahead {
                weights: self.next,
                at: asked * self.outputs + column,
                stride: self.outputs,
                count: share,
            };
            let kernel = (&self.kernel[column..], self.outputs);
            // Both branches write the sums themselves: joined sums would not stay in registers.
            if row == 0 && width == tile {
                let sums = sums::<S, M, true>(simd, &x, kernel, packed, ahead);
                self.write(simd, &sums, row, column, width);
            } else {
                if row == 0 {
                    pack_edge(kernel, width, packed, tile);
                }
                let sums = sums::<S, M, false>(simd, &x, (packed, tile), &mut [], ahead);
                self.write(simd, &sums, row, column, width);
            }
        }
    }

    /// Writes the sums of a tile, or adds them to those of the earlier inputs.
    #[inline(always)]
    fn write<S: Simd, const M: usize>(
        &self,
        simd: S,
        sums: &[[S::f32s; VECTORS]; M],
        row: usize,
        column: usize,
        width: usize,
    ) {
        let lanes = S::F32_LANES;
        for m in 0..M {
            let at = (row + m) * self.outputs + self.start + column;
            // SAFETY: these outputs belong to this task alone.
            let output = unsafe { self.output.part(at, width) };
            if width == VECTORS * lanes {
                for v in 0..VECTORS {
                    let mut sum = sums[m][v];
                    if !self.is_first {
                        sum = simd.add_f32s(load(simd, output, v * lanes), sum);
                    }
                    store(simd, output, v * lanes, sum);
                }
            } else {
                let mut edge = [0f32; WIDEST];
                for v in 0..VECTORS {
                    store(simd, &mut edge, v * lanes, sums[m][v]);
                }
                for (output, sum) in output.iter_mut().zip(edge) {
                    *output = if self.is_first { sum } else { *output + sum };
                }
            }
        }
    }
}

/// Weights to prefetch while others are used: a tile's columns of some inputs.
#[derive(Clone, Copy)]
struct Ahead<'a> {
    weights: &'a [f32],
    /// Index of the first input's weights.
    at: usize,
    /// Distance from one input to the next.
    stride: usize,
    count: usize,
}

/// Packs the weights of a partial tile, and pads it with zeros.
fn pack_edge((kernel, stride): (&[f32], usize), width: usize, packed: &mut [f32], tile: usize) {
    for (k, target) in packed.chunks_exact_mut(tile).enumerate() {
        target[..width].copy_from_slice(&kernel[k * stride..][..width]);
        target[width..].fill(0.0);
    }
}

/// Sums of a tile over all inputs of `x`. Consecutive inputs' weights are `stride` numbers apart;
/// with `LAY` they are also packed into `packed`.
#[inline(always)]
fn sums<S: Simd, const M: usize, const LAY: bool>(
    simd: S,
    x: &[&[f32]; M],
    (weights, stride): (&[f32], usize),
    packed: &mut [f32],
    ahead: Ahead<'_>,
) -> [[S::f32s; VECTORS]; M] {
    let (tile, depth, lanes) = (VECTORS * S::F32_LANES, x[0].len(), S::F32_LANES);
    assert!(x.iter().all(|x| x.len() == depth) && (depth - 1) * stride + tile <= weights.len());
    assert!(!LAY || packed.len() == depth * tile);
    // The compiler would fill zeros that it knows by a call; `black_box` hides them.
    let mut sums = [[simd.splat_f32s(black_box(0.0)); VECTORS]; M];
    let interval = depth.checked_div(ahead.count).unwrap_or(usize::MAX);
    let (mut due, mut asked) = (interval - 1, ahead.at);
    for k in 0..depth {
        if k == due {
            prefetch(ahead.weights, asked, tile);
            (due, asked) = (due + interval, asked + ahead.stride);
        }
        let at = k * stride;
        // SAFETY: the weights of every input are at least a tile.
        let [a, b, c] = unsafe {
            [
                load_unchecked(simd, weights, at),
                load_unchecked(simd, weights, at + lanes),
                load_unchecked(simd, weights, at + 2 * lanes),
            ]
        };
        if LAY {
            let packed = &mut packed[k * tile..][..tile];
            store(simd, packed, 0, a);
            store(simd, packed, lanes, b);
            store(simd, packed, 2 * lanes, c);
        }
        for m in 0..M {
            // SAFETY: every row has `depth` numbers.
            let x = simd.splat_f32s(unsafe { *x[m].get_unchecked(k) });
            sums[m][0] = simd.mul_add_e_f32s(x, a, sums[m][0]);
            sums[m][1] = simd.mul_add_e_f32s(x, b, sums[m][1]);
            sums[m][2] = simd.mul_add_e_f32s(x, c, sums[m][2]);
        }
    }
    sums
}
