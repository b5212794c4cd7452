//! Loss at the head of the model, and its gradients.

use burn::tensor::{DType, Tensor};
use gpt2_backbone::{OutputWeights, PendingRead, start_read};
use gpt2_kernels::{CrossEntropy, CrossEntropyGradients, cross_entropy};
use gpt2_tokenizer::TokenId;
use serde::{Deserialize, Serialize};

use crate::error::TaskError;

/// Cross-entropy of the next token, from logits (`keras/src/losses/losses.py`,
/// `SparseCategoricalCrossentropy(from_logits=True)`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SparseCategoricalCrossentropy {
    /// Divisor of the weighted sum over a batch.
    pub reduction: Reduction,
}

/// Divisor of the weighted sum of losses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reduction {
    /// Number of all positions, including padding: Keras' default.
    #[default]
    SumOverBatchSize,
    /// Sum of the weights, so that padding has no influence, as in the transformers library and
    /// Keras' `mean_with_sample_weight`.
    MeanWithSampleWeight,
    /// 1: the weighted sum itself.
    Sum,
}

impl SparseCategoricalCrossentropy {
    /// Loss with this reduction.
    pub fn new(reduction: Reduction) -> Self {
        Self { reduction }
    }

    /// Factor of the weighted sum.
    fn factor(self, weights: &[f32]) -> f32 {
        let divisor = match self.reduction {
            Reduction::SumOverBatchSize => weights.len() as f32,
            Reduction::MeanWithSampleWeight => weights.iter().sum(),
            Reduction::Sum => 1.0,
        };
        // If all weights are 0, so is the loss: avoid a division by 0.
        if divisor > 0.0 { 1.0 / divisor } else { 0.0 }
    }
}

/// Result of the head for a batch.
pub(crate) struct HeadOutput {
    /// Losses that are still being read.
    pub(crate) losses: PendingLosses,
    /// Gradients, if they were requested.
    pub(crate) gradients: Option<HeadGradients>,
}

/// Losses that are read while the device continues: a training step need not wait for its loss.
pub(crate) struct PendingLosses {
    losses: PendingRead,
    best: PendingRead,
    factor: f32,
}

/// Losses of a batch.
pub(crate) struct Losses {
    /// Loss of the batch.
    pub(crate) loss: f64,
    /// Cross-entropy at each position.
    pub(crate) losses: Vec<f32>,
    /// Whether the target is the most probable token, at each position.
    pub(crate) hits: Vec<bool>,
}

impl PendingLosses {
    /// Waits for the losses. Returns the device's error if reading fails.
    pub(crate) fn wait(self, targets: &Targets<'_>) -> Result<Losses, TaskError> {
        let losses: Vec<f32> = self.losses.wait()?.iter::<f32>().collect();
        let best = self.best.wait()?;
        let weighted = losses.iter().zip(targets.weights);
        let sum: f64 = weighted.map(|(loss, weight)| f64::from(*loss) * f64::from(*weight)).sum();
        let hits = best.iter::<u32>().zip(targets.ids).map(|(best, id)| best == *id).collect();
        Ok(Losses { loss: sum * f64::from(self.factor), losses, hits })
    }
}

/// Gradients of the loss.
pub(crate) struct HeadGradients {
    /// Gradient of the hidden states.
    pub(crate) hidden: Tensor<3>,
    /// Path and flat gradient of the output layer's parameter. None unless it is trained.
    pub(crate) table: Option<(&'static str, Tensor<1>)>,
}

/// Targets of a batch, flat.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Targets<'a> {
    pub(crate) ids: &'a [TokenId],
    pub(crate) weights: &'a [f32],
}

/// Gradients to compute.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct GradientRequest {
    /// Factor of the loss before differentiation.
    pub(crate) loss_scale: f64,
    /// Whether the output layer is trained.
    pub(crate) table: bool,
}

/// Computes the loss of hidden states, `[batch_size, sequence_length, hidden_dim]`.
pub(crate) fn head(
    weights: OutputWeights,
    hidden: Tensor<3>,
    targets: &Targets<'_>,
    loss: SparseCategoricalCrossentropy,
    request: Option<GradientRequest>,
    compute_dtype: Option<DType>,
) -> HeadOutput {
    let shape = hidden.dims();
    let rows = hidden.reshape([targets.ids.len(), shape[2]]);
    let OutputWeights { path, values, tied } = weights;
    let factor = loss.factor(targets.weights);
    let gradients = request.map(|GradientRequest { loss_scale, table }| {
        let scale = factor * loss_scale as f32;
        let factors = targets.weights.iter().map(|weight| weight * scale).collect();
        CrossEntropyGradients { factors, table }
    });
    let request = CrossEntropy { targets: targets.ids.to_vec(), tied, gradients, compute_dtype };
    let output = cross_entropy(rows, values, request);
    HeadOutput {
        losses: PendingLosses {
            losses: start_read(output.losses),
            best: start_read(output.best),
            factor,
        },
        gradients: output.hidden_gradient.map(|hidden| HeadGradients {
            hidden: hidden.reshape(shape),
            table: output.table_gradient.map(|gradient| (path, gradient.reshape([-1]))),
        }),
    }
}
