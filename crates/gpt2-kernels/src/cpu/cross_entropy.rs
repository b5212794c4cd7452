//! The output layer's cross-entropy: some rows of logits at a time, each read while it is in the
//! cache.

use pulp::{Simd, WithSimd};

use super::product::{Matrix, Product};
use super::simd::{dispatch, exp, load, store};
use super::threads::{Shared, for_each};
use crate::cross_entropy::CrossEntropy;

/// What is found out about hidden states.
pub(crate) struct Evaluated {
    pub(crate) losses: Vec<f32>,
    /// The most probable tokens.
    pub(crate) best: Vec<i32>,
    pub(crate) hidden_gradient: Option<Vec<f32>>,
    pub(crate) table_gradient: Option<Vec<f32>>,
}

/// `hidden`: `[rows, width]`; the table as the request says.
pub(crate) fn cross_entropy(
    hidden: &[f32],
    table: &[f32],
    width: usize,
    request: &CrossEntropy,
) -> Evaluated {
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

/// Finds losses and most probable tokens of rows of logits, and with factors turns the logits into
/// the gradient by them, `(softmax - one_hot) * factor`.
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
        // SAFETY: a row, its loss and its token belong to this task alone.
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

/// The largest of some logits, whatever those are that are not a number.
struct Largest<'a> {
    logits: &'a [f32],
}

impl WithSimd for Largest<'_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        let lanes = S::F32_LANES;
        let whole = self.logits.len() - self.logits.len() % (4 * lanes);
        let mut largest = [simd.splat_f32s(f32::NEG_INFINITY); 4];
        for at in (0..whole).step_by(4 * lanes) {
            for (index, largest) in largest.iter_mut().enumerate() {
                *largest = simd.max_f32s(load(simd, self.logits, at + index * lanes), *largest);
            }
        }
        let [a, b, c, d] = largest;
        let joined = simd.max_f32s(simd.max_f32s(a, b), simd.max_f32s(c, d));
        let rest = self.logits[whole..].iter().copied();
        rest.fold(simd.reduce_max_f32s(joined), f32::max)
    }
}

/// Puts `e^(logit - largest)` in the logits' place, and sums it.
struct Exponentials<'a> {
    logits: &'a mut [f32],
    largest: f32,
}

impl WithSimd for Exponentials<'_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        let Self { logits, largest } = self;
        let lanes = S::F32_LANES;
        let shift = simd.splat_f32s(largest);
        let mut sums = [simd.splat_f32s(0.0); 2];
        let whole = logits.len() - logits.len() % (2 * lanes);
        for at in (0..whole).step_by(2 * lanes) {
            for (index, sum) in sums.iter_mut().enumerate() {
                let at = at + index * lanes;
                let power = exp(simd, simd.sub_f32s(load(simd, logits, at), shift));
                *sum = simd.add_f32s(*sum, power);
                store(simd, logits, at, power);
            }
        }
        let sum = simd.reduce_sum_f32s(simd.add_f32s(sums[0], sums[1]));
        for rest in logits[whole..].chunks_mut(lanes) {
            let shifted = simd.sub_f32s(simd.partial_load_f32s(rest), shift);
            simd.partial_store_f32s(rest, exp(simd, shifted));
        }
        logits[whole..].iter().fold(sum, |sum, power| sum + power)
    }
}

/// Multiplies numbers.
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
