//! Cross-entropy on the CPU, a chunk of rows of logits at a time. Each chunk is evaluated while it
//! is in the processor's cache.

use burn::backend::flex::FlexTensor;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::TensorData;
use pulp::{Simd, WithSimd};

use super::request::CrossEntropy;
use super::{CrossEntropyOps, composed};
use crate::cpu::exponentials::{exponentials, largest};
use crate::cpu::product::{Matrix, Product};
use crate::cpu::simd::dispatch;
use crate::cpu::tensors::{has_kernel, in_order, slice, tensor};
use crate::cpu::threads::{Shared, for_each};

impl CrossEntropyOps for Flex {
    fn fused_cross_entropy(
        hidden: FloatTensor<Self>,
        table: FloatTensor<Self>,
        request: CrossEntropy,
    ) -> (FloatTensor<Self>, IntTensor<Self>, Option<FloatTensor<Self>>, Option<FloatTensor<Self>>)
    {
        if !has_kernel(&[&hidden, &table]) || request.compute_dtype.is_some() {
            return composed::cross_entropy::<Self>(hidden, table, request);
        }
        let [hidden, table] = [hidden, table].map(in_order);
        let [rows, width] = hidden.shape().dims();
        let found = cross_entropy(slice(&hidden), slice(&table), width, &request);
        (
            tensor(found.losses, [rows]),
            FlexTensor::from_data(TensorData::new(found.best, [rows])),
            found.hidden_gradient.map(|gradient| tensor(gradient, hidden.shape())),
            found.table_gradient.map(|gradient| tensor(gradient, table.shape())),
        )
    }
}

/// Results for a batch of hidden states.
struct Evaluated {
    losses: Vec<f32>,
    /// Most probable tokens.
    best: Vec<i32>,
    hidden_gradient: Option<Vec<f32>>,
    table_gradient: Option<Vec<f32>>,
}

/// `hidden` is `[rows, width]`; the request has the table's layout.
fn cross_entropy(hidden: &[f32], table: &[f32], width: usize, request: &CrossEntropy) -> Evaluated {
    let (rows, vocabulary_size) = (hidden.len() / width, table.len() / width);
    let (by_columns, by_rows) = if request.tied {
        let table = Matrix::rows(table, width);
        (table.transposed(vocabulary_size), table)
    } else {
        let table = Matrix::rows(table, vocabulary_size);
        (table, table.transposed(width))
    };
    let gradients = request.gradients.as_ref();
    let wants_table = gradients.is_some_and(|gradients| gradients.table);
    let mut evaluated = Evaluated {
        losses: vec![0.0; rows],
        best: vec![0; rows],
        hidden_gradient: gradients.map(|_| vec![0.0; hidden.len()]),
        table_gradient: wants_table.then(|| vec![0.0; table.len()]),
    };
    let height = request.chunk_rows(vocabulary_size);
    let mut logits = vec![0f32; height * vocabulary_size];
    for start in (0..rows).step_by(height) {
        let count = height.min(rows - start);
        let chunk = &hidden[start * width..][..count * width];
        let logits = &mut logits[..count * vocabulary_size];
        Product::of(Matrix::rows(chunk, width), by_columns).on_all_cores().write(count, logits);
        let targets = &request.targets[start..start + count];
        let factors = gradients.map(|gradients| &gradients.factors[start..start + count]);
        let losses = &mut evaluated.losses[start..start + count];
        let best = &mut evaluated.best[start..start + count];
        evaluate(logits, targets, factors, losses, best);
        let slope = Matrix::rows(logits, vocabulary_size);
        if let Some(gradient) = &mut evaluated.hidden_gradient {
            let gradient = &mut gradient[start * width..][..count * width];
            Product::of(slope, by_rows).on_all_cores().write(count, gradient);
        }
        if let Some(gradient) = &mut evaluated.table_gradient {
            let chunk = Matrix::rows(chunk, width);
            let (product, rows) = if request.tied {
                (Product::of(slope.transposed(count), chunk), vocabulary_size)
            } else {
                (Product::of(chunk.transposed(count), slope), width)
            };
            product.on_all_cores().add_to(rows, gradient);
        }
    }
    evaluated
}

/// Computes losses and most probable tokens of rows of logits. If factors are given, replaces the
/// logits by their gradient, `(softmax - one_hot) * factor`.
fn evaluate(
    logits: &mut [f32],
    targets: &[u32],
    factors: Option<&[f32]>,
    losses: &mut [f32],
    best: &mut [i32],
) {
    let (length, rows) = (logits.len(), targets.len());
    let width = length / rows;
    let (logits, losses, best) = (Shared::new(logits), Shared::new(losses), Shared::new(best));
    for_each(rows, 8 * length, |row| {
        // SAFETY: the row, its loss and its token belong to this task alone.
        let (logits, loss, best) =
            unsafe { (logits.part(row * width, width), losses.part(row, 1), best.part(row, 1)) };
        let target = targets[row] as usize;
        let target_logit = logits[target];
        let largest = dispatch(Largest { logits });
        let place = logits.iter().position(|logit| *logit == largest);
        best[0] = place.unwrap_or(0) as i32;
        let sum = dispatch(Exponentials { logits, largest });
        loss[0] = sum.ln() - (target_logit - largest);
        if let Some(factors) = factors {
            dispatch(Scale { numbers: logits, factor: factors[row] / sum });
            logits[target] -= factors[row];
        }
    });
}

/// Computes the maximum of some logits.
struct Largest<'a> {
    logits: &'a [f32],
}

impl WithSimd for Largest<'_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        largest(simd, self.logits)
    }
}

/// Replaces logits by `e^(logit - largest)` and sums them.
struct Exponentials<'a> {
    logits: &'a mut [f32],
    largest: f32,
}

impl WithSimd for Exponentials<'_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        exponentials(simd, self.logits, self.largest, 1.0)
    }
}

/// Multiplies numbers by a factor.
struct Scale<'a> {
    numbers: &'a mut [f32],
    factor: f32,
}

impl WithSimd for Scale<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        self.numbers.iter_mut().for_each(|number| *number *= self.factor);
    }
}
