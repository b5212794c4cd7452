//! The loss at the head of the model, with its gradient written out.
//!
//! Logits exist for some rows at a time: `[tokens, vocabulary_size]` is the largest array of a
//! training, and automatic differentiation would keep several of it.

use burn::tensor::{DType, IndexingUpdateOp, Int, Tensor, TensorData};
use gpt2_backbone::Gpt2Backbone;
use gpt2_tokenizer::TokenId;
use serde::{Deserialize, Serialize};

/// Logits that are computed at a time: 64 MiB of 32-bit floats.
const CHUNK_LOGITS: usize = 16 << 20;

/// The cross-entropy of the next token, from logits
/// (`keras/src/losses/losses.py`, `SparseCategoricalCrossentropy(from_logits=True)`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SparseCategoricalCrossentropy {
    /// By what the weighted sum of a batch is divided.
    pub reduction: Reduction,
}

/// By what the weighted sum of losses is divided.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reduction {
    /// All positions, padding included: Keras' default.
    #[default]
    SumOverBatchSize,
    /// The sum of the weights, so that padding has no influence: the transformers library's way,
    /// and Keras' `mean_with_sample_weight`.
    MeanWithSampleWeight,
    /// Nothing.
    Sum,
}

impl SparseCategoricalCrossentropy {
    /// A loss with this reduction.
    pub fn new(reduction: Reduction) -> Self {
        Self { reduction }
    }

    /// The factor of the weighted sum.
    fn factor(self, weights: &[f32]) -> f32 {
        let divisor = match self.reduction {
            Reduction::SumOverBatchSize => weights.len() as f32,
            Reduction::MeanWithSampleWeight => weights.iter().sum(),
            Reduction::Sum => 1.0,
        };
        // Without any weight there is no loss, and nothing to divide.
        if divisor > 0.0 { 1.0 / divisor } else { 0.0 }
    }
}

/// What the head says about a batch.
pub(crate) struct HeadOutput {
    /// The loss of the batch.
    pub(crate) loss: f64,
    /// The cross-entropy at each position.
    pub(crate) losses: Vec<f32>,
    /// Whether the most probable token is the target, at each position.
    pub(crate) hits: Vec<bool>,
    /// Gradients, if they were asked for.
    pub(crate) gradients: Option<HeadGradients>,
}

/// Gradients of the loss.
pub(crate) struct HeadGradients {
    /// Of the hidden states.
    pub(crate) hidden: Tensor<3>,
    /// Of the output layer's parameter and its path, if it is trained; flat.
    pub(crate) table: Option<(&'static str, Tensor<1>)>,
}

/// The targets of a batch, flat.
pub(crate) struct Targets<'a> {
    pub(crate) ids: &'a [TokenId],
    pub(crate) weights: &'a [f32],
}

/// What is computed of the gradients.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct GradientRequest {
    /// Factor of the loss that is differentiated.
    pub(crate) loss_scale: f64,
    /// Whether the output layer is trained.
    pub(crate) table: bool,
}

/// Computes the loss of hidden states, `[batch_size, sequence_length, hidden_dim]`.
pub(crate) fn head(
    backbone: &Gpt2Backbone,
    hidden: Tensor<3>,
    targets: &Targets<'_>,
    loss: SparseCategoricalCrossentropy,
    request: Option<GradientRequest>,
    compute_dtype: Option<DType>,
) -> HeadOutput {
    let shape = hidden.dims();
    let rows = hidden.reshape([targets.ids.len(), shape[2]]);
    let embedding = &backbone.token_embedding;
    // `[hidden_dim, vocabulary_size]`, a view where the weights are tied.
    let (path, table) = match &embedding.reverse_embeddings {
        Some(reverse) => ("token_embedding.reverse_embeddings", reverse.val()),
        None => ("token_embedding.embeddings", embedding.embeddings.val().transpose()),
    };
    // Products in the float type of the pass, everything else in 32-bit floats.
    let table = narrow(table, compute_dtype);
    let product = |left: Tensor<2>, right: Tensor<2>| {
        let product = narrow(left, compute_dtype).matmul(narrow(right, compute_dtype));
        if compute_dtype.is_some() { product.cast(DType::F32) } else { product }
    };
    let tied = embedding.reverse_embeddings.is_none();
    let factor = loss.factor(targets.weights);
    let vocabulary_size = backbone.config().vocabulary_size;
    let height = (CHUNK_LOGITS / vocabulary_size).max(1);

    let mut output = HeadOutput {
        loss: 0.0,
        losses: Vec::with_capacity(targets.ids.len()),
        hits: Vec::with_capacity(targets.ids.len()),
        gradients: None,
    };
    let mut hidden_gradients = Vec::new();
    let mut table_gradient: Option<Tensor<2>> = None;
    for start in (0..targets.ids.len()).step_by(height) {
        let end = (start + height).min(targets.ids.len());
        let chunk = rows.clone().narrow(0, start, end - start);
        let ids = column(&targets.ids[start..end], &chunk);
        let logits = product(chunk.clone(), table.clone());
        output.hits.extend(hits(&logits, &targets.ids[start..end]));
        let exponents = logits.clone() - logits.max_dim(1);
        let target = exponents.clone().gather(1, ids.clone());
        let exponentials = exponents.exp();
        let sums = exponentials.clone().sum_dim(1);
        let losses = sums.clone().log() - target;
        output.losses.extend(losses.into_data().iter::<f32>());
        let Some(request) = request else { continue };

        let scale = factor * request.loss_scale as f32;
        let slope = slope(exponentials, sums, ids, &targets.weights[start..end], scale);
        hidden_gradients.push(product(slope.clone(), table.clone().transpose()));
        if request.table {
            let gradient = match tied {
                true => product(slope.transpose(), chunk),
                false => product(chunk.transpose(), slope),
            };
            table_gradient = Some(match table_gradient {
                Some(sum) => sum + gradient,
                None => gradient,
            });
        }
    }
    let weighted = output.losses.iter().zip(targets.weights);
    let sum: f64 = weighted.map(|(loss, weight)| f64::from(*loss) * f64::from(*weight)).sum();
    output.loss = sum * f64::from(factor);
    output.gradients = request.map(|_| HeadGradients {
        hidden: Tensor::cat(hidden_gradients, 0).reshape(shape),
        table: table_gradient.map(|gradient| (path, gradient.reshape([-1]))),
    });
    output
}

/// The gradient by the logits: `(softmax - one_hot) * weight`, and a factor.
fn slope(
    exponentials: Tensor<2>,
    sums: Tensor<2>,
    ids: Tensor<2, Int>,
    weights: &[f32],
    factor: f32,
) -> Tensor<2> {
    let weights: Vec<f32> = weights.iter().map(|weight| weight * factor).collect();
    let shape = [weights.len(), 1];
    let weights = Tensor::<2>::from_data(TensorData::new(weights, shape), &sums.device());
    let slope = exponentials * (weights.clone() / sums);
    slope.scatter(1, ids, -weights, IndexingUpdateOp::Add)
}

/// A matrix in the float type of a pass.
fn narrow(matrix: Tensor<2>, dtype: Option<DType>) -> Tensor<2> {
    match dtype {
        Some(dtype) if matrix.dtype() != dtype => matrix.cast(dtype),
        _ => matrix,
    }
}

/// Ids as a column, on the device of `like`.
fn column(ids: &[TokenId], like: &Tensor<2>) -> Tensor<2, Int> {
    let ids: Vec<i32> = ids.iter().map(|&id| id as i32).collect();
    let shape = [ids.len(), 1];
    Tensor::from_data(TensorData::new(ids, shape), &like.device())
}

/// Whether the largest logit of each row is the target's; of equal ones the first.
fn hits(logits: &Tensor<2>, ids: &[TokenId]) -> Vec<bool> {
    let best: Vec<i64> = logits.clone().argmax(1).into_data().iter::<i64>().collect();
    best.iter().zip(ids).map(|(best, id)| *best == i64::from(*id)).collect()
}
