//! Sums of columns on the CPU.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Flex, TensorMetadata};

use super::ColumnSumsOps;
use crate::cpu::tensors::{has_kernel, in_order, slice, tensor};
use crate::cpu::threads::{Shared, for_each};

/// Rows of a task.
pub(crate) const ROWS: usize = 32;
/// Columns of a task.
const COLUMNS: usize = 1 << 12;

impl ColumnSumsOps for Flex {
    fn column_sums(x: FloatTensor<Self>) -> FloatTensor<Self> {
        if !has_kernel(&[&x]) {
            return super::composed::<Self>(x);
        }
        let x = in_order(x);
        let columns = x.shape()[1];
        tensor(column_sums(slice(&x), columns), [columns])
    }
}

fn column_sums(x: &[f32], columns: usize) -> Vec<f32> {
    let blocks = (x.len() / columns.max(1)).div_ceil(ROWS);
    let strips = columns.div_ceil(COLUMNS);
    let mut sums = vec![0f32; blocks * columns];
    let shared = Shared::new(&mut sums);
    for_each(blocks * strips, x.len(), |task| {
        let (block, start) = (task / strips, task % strips * COLUMNS);
        let count = COLUMNS.min(columns - start);
        // SAFETY: the sums of a block's columns are its task's own.
        let sums = unsafe { shared.part(block * columns + start, count) };
        for row in x.chunks_exact(columns).skip(block * ROWS).take(ROWS) {
            sums.iter_mut().zip(&row[start..]).for_each(|(sum, value)| *sum += value);
        }
    });
    sum_of_blocks(&sums, columns)
}

/// The sum of blocks of the same width, added in order.
pub(crate) fn sum_of_blocks(blocks: &[f32], width: usize) -> Vec<f32> {
    let mut total = vec![0f32; width];
    for block in blocks.chunks_exact(width.max(1)) {
        total.iter_mut().zip(block).for_each(|(total, sum)| *total += sum);
    }
    total
}
