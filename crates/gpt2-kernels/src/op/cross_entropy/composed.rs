//! Cross-entropy from burn's own operations: for every device and float type.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, DType, TensorMetadata, get_or_init_device_settings};
use burn::tensor::{IndexingUpdateOp, Shape, Slice, TensorData};

use super::CrossEntropyOps;
use super::request::CrossEntropy;

/// Cross-entropies `[rows]`, most probable tokens `[rows]`, and the gradients by hidden states and
/// by the table.
pub(super) type Evaluated<B> =
    (FloatTensor<B>, IntTensor<B>, Option<FloatTensor<B>>, Option<FloatTensor<B>>);

pub(super) fn cross_entropy<B: CrossEntropyOps>(
    hidden: FloatTensor<B>,
    table: FloatTensor<B>,
    request: CrossEntropy,
) -> Evaluated<B> {
    let [rows, width] = hidden.shape().dims();
    let table = if request.tied { B::float_swap_dims(table, 0, 1) } else { table };
    let [_, vocabulary_size] = table.shape().dims();
    let table = narrow::<B>(table, request.compute_dtype);
    let height = request.chunk_rows(vocabulary_size);
    let device = hidden.device();
    let (mut losses, mut best) = (Vec::new(), Vec::new());
    let (mut hidden_gradients, mut table_gradient) = (Vec::new(), None);
    for start in (0..rows).step_by(height) {
        let end = (start + height).min(rows);
        let count = end - start;
        let chunk =
            B::float_slice(hidden.clone(), &[Slice::from(start..end), Slice::from(0..width)]);
        let ids: Vec<i32> = request.targets[start..end].iter().map(|&id| id as i32).collect();
        let ids = B::int_from_data(TensorData::new(ids, [count]), &device);
        let factors = match &request.gradients {
            Some(gradients) => gradients.factors[start..end].to_vec(),
            None => vec![0.0; count],
        };
        let factors = B::float_from_data(TensorData::new(factors, [count]), &device);
        let logits = product::<B>(chunk.clone(), table.clone(), request.compute_dtype);
        let (loss, most, slope) =
            B::fused_logit_losses(logits, ids, factors, request.gradients.is_some());
        losses.push(loss);
        best.push(most);
        let Some((gradients, slope)) = request.gradients.as_ref().zip(slope) else { continue };
        let back = B::float_swap_dims(table.clone(), 0, 1);
        hidden_gradients.push(product::<B>(slope.clone(), back, request.compute_dtype));
        if gradients.table {
            let (left, right) = if request.tied {
                (B::float_swap_dims(slope, 0, 1), chunk)
            } else {
                (B::float_swap_dims(chunk, 0, 1), slope)
            };
            let gradient = product::<B>(left, right, request.compute_dtype);
            table_gradient = Some(match table_gradient {
                Some(sum) => B::float_add(sum, gradient),
                None => gradient,
            });
        }
    }
    let (losses, best) = (B::float_cat(losses, 0), B::int_cat(best, 0));
    let hidden_gradient = request.gradients.map(|_| B::float_cat(hidden_gradients, 0));
    (losses, best, hidden_gradient, table_gradient)
}

/// Losses, most probable tokens, and the gradient by the logits.
pub(super) type LogitLosses<B> = (FloatTensor<B>, IntTensor<B>, Option<FloatTensor<B>>);

pub(super) fn logit_losses<B: Backend>(
    logits: FloatTensor<B>,
    targets: IntTensor<B>,
    factors: FloatTensor<B>,
    slope: bool,
) -> LogitLosses<B> {
    let [rows, _] = logits.shape().dims();
    let column = Shape::new([rows, 1]);
    let targets = B::int_reshape(targets, column.clone());
    let int_dtype = get_or_init_device_settings::<B>(&logits.device()).int_dtype;
    let best = B::float_argmax(logits.clone(), 1, int_dtype);
    let exponents = B::float_sub(logits.clone(), B::float_max_dim(logits, 1));
    let target = B::float_gather(1, exponents.clone(), targets.clone());
    let exponentials = B::float_exp(exponents);
    let sums = B::float_sum_dim(exponentials.clone(), 1);
    let losses = B::float_sub(B::float_log(sums.clone()), target);
    let gradient = slope.then(|| {
        // `(softmax - one_hot) * factor`
        let factors = B::float_reshape(factors, column);
        let slope = B::float_mul(exponentials, B::float_div(factors.clone(), sums));
        let one_hot = B::float_neg(factors);
        B::float_scatter(1, slope, targets, one_hot, IndexingUpdateOp::Add)
    });
    let flat = Shape::new([rows]);
    (B::float_reshape(losses, flat.clone()), B::int_reshape(best, flat), gradient)
}

/// Product in the compute type; all else is in 32-bit floats.
fn product<B: Backend>(
    left: FloatTensor<B>,
    right: FloatTensor<B>,
    dtype: Option<DType>,
) -> FloatTensor<B> {
    let product = B::float_matmul(narrow::<B>(left, dtype), narrow::<B>(right, dtype));
    if dtype.is_some() { B::float_cast(product, DType::F32.into()) } else { product }
}

fn narrow<B: Backend>(matrix: FloatTensor<B>, dtype: Option<DType>) -> FloatTensor<B> {
    match dtype {
        Some(dtype) if matrix.dtype() != dtype => B::float_cast(matrix, dtype.into()),
        _ => matrix,
    }
}
