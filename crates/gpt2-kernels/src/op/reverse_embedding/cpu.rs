//! Products of few rows with the rows of a table on the CPU: all cores together read the table
//! once.

#![allow(
    clippy::needless_range_loop,
    reason = "loops over rows and vectors that the compiler unrolls index several arrays at once"
)]

use burn::backend::tensor::FloatTensor;
use burn::backend::{Flex, TensorMetadata};
use pulp::{Simd, WithSimd};

use super::{ReverseEmbeddingOps, composed};
use crate::cpu::simd::{dispatch, load, prefetch};
use crate::cpu::tensors::{has_kernel, in_order, slice, tensor};
use crate::cpu::threads::{Shared, for_each, write_all};
use crate::op::linear::cpu::narrow::MAX_ROWS;

/// Number of rows that are computed together.
const ROWS: usize = 4;
/// Number of table rows that are read side by side.
const UNROLL: usize = 4;
/// Number of table rows a task.
const HEIGHT: usize = 256;

impl ReverseEmbeddingOps for Flex {
    fn fused_reverse_embedding(
        hidden: FloatTensor<Self>,
        table: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let [rows, inputs] = hidden.shape().dims();
        if !has_kernel(&[&hidden, &table]) || rows > MAX_ROWS {
            return composed::reverse_embedding::<Self>(hidden, table);
        }
        let [hidden, table] = [hidden, table].map(in_order);
        let outputs = table.shape()[0];
        let output = write_all(rows * outputs, |output| {
            narrow_dots(slice(&hidden), slice(&table), inputs, output);
        });
        tensor(output, [rows, outputs])
    }
}

/// `x [rows, inputs]` times the transpose of `table [outputs, inputs]`, into `[rows, outputs]`.
fn narrow_dots(x: &[f32], table: &[f32], inputs: usize, output: Shared<'_>) {
    let (rows, outputs) = (x.len() / inputs, table.len() / inputs);
    for_each(outputs.div_ceil(HEIGHT), rows * inputs * outputs, |task| {
        let start = task * HEIGHT;
        let height = HEIGHT.min(outputs - start);
        let table = &table[start * inputs..][..height * inputs];
        for first in (0..rows).step_by(ROWS) {
            let count = ROWS.min(rows - first);
            let x = &x[first * inputs..][..count * inputs];
            // SAFETY: these outputs of these rows belong to this task alone.
            let target =
                |row: usize| unsafe { output.part((first + row) * outputs + start, height) };
            match count {
                1 => dispatch(Dots { x, table, inputs, targets: [0].map(target) }),
                2 => dispatch(Dots { x, table, inputs, targets: [0, 1].map(target) }),
                3 => dispatch(Dots { x, table, inputs, targets: [0, 1, 2].map(target) }),
                _ => dispatch(Dots { x, table, inputs, targets: [0, 1, 2, 3].map(target) }),
            }
        }
    });
}

/// Dot products of `M` rows with every row of a part of the table.
struct Dots<'a, const M: usize> {
    x: &'a [f32],
    table: &'a [f32],
    inputs: usize,
    targets: [&'a mut [f32]; M],
}

impl<const M: usize> WithSimd for Dots<'_, M> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let height = self.targets[0].len();
        let whole = height - height % UNROLL;
        for row in (0..whole).step_by(UNROLL) {
            self.rows::<S, UNROLL>(simd, row);
        }
        for row in whole..height {
            self.rows::<S, 1>(simd, row);
        }
    }
}

impl<const M: usize> Dots<'_, M> {
    /// Computes `U` rows of the table from `row` on.
    #[inline(always)]
    fn rows<S: Simd, const U: usize>(&mut self, simd: S, row: usize) {
        let (inputs, lanes) = (self.inputs, S::F32_LANES);
        let whole = inputs - inputs % lanes;
        let table: [&[f32]; U] =
            std::array::from_fn(|u| &self.table[(row + u) * inputs..][..inputs]);
        let x: [&[f32]; M] = std::array::from_fn(|m| &self.x[m * inputs..][..inputs]);
        let mut sums = [[simd.splat_f32s(0.0); U]; M];
        for at in (0..whole).step_by(lanes) {
            // Prefetches the next rows, one after the other: processors read one stream far faster
            // than several.
            prefetch(self.table, (row + U) * inputs + U * at, U * lanes);
            let w: [S::f32s; U] = std::array::from_fn(|u| load(simd, table[u], at));
            for m in 0..M {
                let x = load(simd, x[m], at);
                for u in 0..U {
                    sums[m][u] = simd.mul_add_e_f32s(x, w[u], sums[m][u]);
                }
            }
        }
        if whole < inputs {
            for m in 0..M {
                let x = simd.partial_load_f32s(&x[m][whole..]);
                for u in 0..U {
                    let w = simd.partial_load_f32s(&table[u][whole..]);
                    sums[m][u] = simd.mul_add_e_f32s(x, w, sums[m][u]);
                }
            }
        }
        for m in 0..M {
            for u in 0..U {
                self.targets[m][row + u] = simd.reduce_sum_f32s(sums[m][u]);
            }
        }
    }
}
