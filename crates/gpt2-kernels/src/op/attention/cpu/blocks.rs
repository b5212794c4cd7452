//! Attention of blocks of queries: a block's scores fill a small matrix, and only of keys that the
//! block sees ([Dao et al., 2022](https://arxiv.org/abs/2205.14135) also divide the keys).

use std::cell::RefCell;

use pulp::{Simd, WithSimd};

use super::heads::{Head, Sequences, matrix};
use super::inputs::Inputs;
use super::softmax::Softmax;
use crate::cpu::product::{Matrix, Product};
use crate::cpu::simd::{dispatch, load, store};
use crate::cpu::threads::{Shared, for_each};
use crate::op::dropout::key::DropoutKey;

/// Queries of a block.
const HEIGHT: usize = 64;

thread_local! {
    /// Buffers for a block's scores and matrices of their size, reused from task to task.
    static SCRATCH: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Calls `compute` with a buffer of uninitialised content.
fn with_scratch(length: usize, compute: impl FnOnce(&mut [f32])) {
    SCRATCH.with_borrow_mut(|scratch| {
        if scratch.len() < length {
            scratch.resize(length, 0.0);
        }
        compute(&mut scratch[..length]);
    });
}

/// Some queries of one head of one sequence.
#[derive(Clone, Copy)]
struct Block {
    sequence: usize,
    head: usize,
    /// Index of the first query.
    first: usize,
    height: usize,
    /// Number of keys that the last query sees.
    seen: usize,
}

impl Block {
    fn new(inputs: &Inputs<'_>, sequence: usize, head: usize, first: usize) -> Self {
        let height = HEIGHT.min(inputs.queries - first);
        let seen = inputs.keys - inputs.queries + first + height;
        Self { sequence, head, first, height, seen }
    }

    /// Probabilities, `[height, seen]`.
    fn probabilities(&self, inputs: &Inputs<'_>, key: Matrix<'_>, probabilities: &mut [f32]) {
        let query = inputs.query.head(self.sequence, self.head).matrix(self.first);
        Product::of(query, key.transposed(self.seen)).write(self.height, probabilities);
        let keep = inputs.keep(self.sequence);
        for (index, row) in probabilities.chunks_exact_mut(self.seen).enumerate() {
            let (scores, hidden) = row.split_at_mut(self.seen - self.height + index + 1);
            let keep = keep.map(|keep| &keep[..scores.len()]);
            dispatch(Softmax { scores, keep, scale: inputs.options.scale as f32 });
            hidden.fill(0.0);
        }
    }

    /// Multiplies values at the positions of probabilities by their dropout factors.
    fn drop(&self, inputs: &Inputs<'_>, dropout: DropoutKey, values: &mut [f32]) {
        let head = self.sequence * inputs.options.num_heads + self.head;
        for (index, row) in values.chunks_exact_mut(self.seen).enumerate() {
            let start = (head * inputs.queries + self.first + index) * inputs.keys;
            let seen = self.seen - self.height + index + 1;
            for (key, value) in row[..seen].iter_mut().enumerate() {
                *value *= dropout.factor((start + key) as u64);
            }
        }
    }
}

/// Computes the attention of all queries.
pub(super) fn attend_blocks(inputs: Inputs<'_>, output: Shared<'_>) {
    let (heads, width) = (inputs.options.num_heads, inputs.width());
    let blocks = inputs.queries.div_ceil(HEIGHT);
    for_each(inputs.batch_size * heads * blocks, inputs.work(), |task| {
        // Blocks that see the most keys come first, so that no core gets a large one at the end.
        let (block, head) =
            (blocks - 1 - task / (inputs.batch_size * heads), task % (inputs.batch_size * heads));
        let (sequence, head) = (head / heads, head % heads);
        let block = Block::new(&inputs, sequence, head, block * HEIGHT);
        let (key, value) = (inputs.key.head(sequence, head), inputs.value.head(sequence, head));
        let gathered = [key, value].map(|x| x.gathered(block.seen));
        with_scratch(block.height * (block.seen + width), |scratch| {
            let (probabilities, result) = scratch.split_at_mut(block.height * block.seen);
            block.probabilities(&inputs, matrix(key, &gathered[0]), probabilities);
            if let Some(dropout) = inputs.options.dropout {
                block.drop(&inputs, dropout, probabilities);
            }
            let probabilities = Matrix::rows(probabilities, block.seen);
            Product::of(probabilities, matrix(value, &gathered[1])).write(block.height, result);
            for (index, row) in result.chunks_exact(width).enumerate() {
                let query = sequence * inputs.queries + block.first + index;
                // SAFETY: the output of this query and head belongs to this task alone.
                unsafe { output.part((query * heads + head) * width, width) }.copy_from_slice(row);
            }
        });
    });
}

/// Gradients by query, key and value, from the output's gradient. All have the query's shape,
/// because tokens attend to themselves.
pub(super) fn attend_backward(inputs: Inputs<'_>, gradient: &[f32]) -> [Vec<f32>; 3] {
    let (heads, width, length) = (inputs.options.num_heads, inputs.width(), inputs.queries);
    let mut outputs = [(); 3].map(|()| vec![0f32; gradient.len()]);
    let shared = outputs.each_mut().map(|output| Shared::new(output));
    let gradient = Sequences::packed(gradient, length, heads, width);
    for_each(inputs.batch_size * heads, 4 * inputs.work(), |task| {
        let (sequence, head) = (task / heads, task % heads);
        let size = length * width;
        with_scratch(3 * size + 2 * HEIGHT * length, |scratch| {
            let (gradients, scratch) = scratch.split_at_mut(3 * size);
            gradients.fill(0.0);
            let gradients = split_three(gradients);
            Backward { inputs, gradient: gradient.head(sequence, head), sequence, head }
                .run(gradients, scratch);
        });
        SCRATCH.with_borrow(|scratch| {
            for (shared, gradient) in shared.iter().zip(scratch[..3 * size].chunks_exact(size)) {
                for (position, row) in gradient.chunks_exact(width).enumerate() {
                    let at = ((sequence * length + position) * heads + head) * width;
                    // SAFETY: this head of this token belongs to this task alone.
                    unsafe { shared.part(at, width) }.copy_from_slice(row);
                }
            }
        });
    });
    outputs
}

fn split_three(values: &mut [f32]) -> [&mut [f32]; 3] {
    let size = values.len() / 3;
    let (first, rest) = values.split_at_mut(size);
    let (second, third) = rest.split_at_mut(size);
    [first, second, third]
}

/// Backward pass of one head of one sequence.
struct Backward<'a> {
    inputs: Inputs<'a>,
    gradient: Head<'a>,
    sequence: usize,
    head: usize,
}

impl Backward<'_> {
    fn run(
        &self,
        [query_gradient, key_gradient, value_gradient]: [&mut [f32]; 3],
        scratch: &mut [f32],
    ) {
        let Self { inputs, sequence, head, .. } = *self;
        let width = inputs.width();
        let key = inputs.key.head(sequence, head).matrix(0);
        let value = inputs.value.head(sequence, head).matrix(0);
        let (probabilities, slopes) = scratch.split_at_mut(HEIGHT * inputs.queries);
        for first in (0..inputs.queries).step_by(HEIGHT) {
            let block = Block::new(&inputs, sequence, head, first);
            let (height, seen) = (block.height, block.seen);
            let probabilities = &mut probabilities[..height * seen];
            let slopes = &mut slopes[..height * seen];
            let gradient = self.gradient.matrix(first);
            let query = inputs.query.head(sequence, head).matrix(first);
            block.probabilities(&inputs, key, probabilities);
            // The values' gradient uses the probabilities after dropout.
            slopes.copy_from_slice(probabilities);
            if let Some(dropout) = inputs.options.dropout {
                block.drop(&inputs, dropout, slopes);
            }
            let kept = Matrix::rows(slopes, seen).transposed(height);
            Product::of(kept, gradient).add_to(seen, &mut value_gradient[..seen * width]);
            Product::of(gradient, value.transposed(seen)).write(height, slopes);
            if let Some(dropout) = inputs.options.dropout {
                block.drop(&inputs, dropout, slopes);
            }
            let scale = inputs.options.scale as f32;
            let rows = probabilities.chunks_exact(seen).zip(slopes.chunks_exact_mut(seen));
            for (probabilities, slopes) in rows {
                dispatch(ScoreGradient { probabilities, slopes, scale });
            }
            let scores = Matrix::rows(slopes, seen);
            let rows = &mut query_gradient[first * width..][..height * width];
            Product::of(scores, key).write(height, rows);
            let scores = scores.transposed(height);
            Product::of(scores, query).add_to(seen, &mut key_gradient[..seen * width]);
        }
    }
}

/// Turns the gradients by a query's probabilities into those by its scores, in place: `p (g - sum(p
/// g)) scale`.
struct ScoreGradient<'a> {
    probabilities: &'a [f32],
    slopes: &'a mut [f32],
    scale: f32,
}

impl WithSimd for ScoreGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { probabilities, slopes, scale } = self;
        let whole = slopes.len() - slopes.len() % S::F32_LANES;
        let mut sums = simd.splat_f32s(0.0);
        for at in (0..whole).step_by(S::F32_LANES) {
            let (p, g) = (load(simd, probabilities, at), load(simd, slopes, at));
            sums = simd.mul_add_e_f32s(p, g, sums);
        }
        let rest = probabilities[whole..].iter().zip(&slopes[whole..]);
        let mean = rest.fold(simd.reduce_sum_f32s(sums), |sum, (p, g)| sum + p * g);
        let (splat, factor) = (simd.splat_f32s(mean), simd.splat_f32s(scale));
        for at in (0..whole).step_by(S::F32_LANES) {
            let (p, g) = (load(simd, probabilities, at), load(simd, slopes, at));
            let value = simd.mul_f32s(simd.mul_f32s(p, factor), simd.sub_f32s(g, splat));
            store(simd, slopes, at, value);
        }
        for (p, g) in probabilities[whole..].iter().zip(&mut slopes[whole..]) {
            *g = p * scale * (*g - mean);
        }
    }
}
