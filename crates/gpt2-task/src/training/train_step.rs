//! Training step: loss and gradients of one batch, and the update of the weights.

use burn::tensor::DType;
use gpt2_backbone::{DropoutSeed, ForwardOptions, ParameterGradients, TrainingOptions};
use gpt2_tokenizer::TokenId;

use super::dataset::TrainingData;
use super::logs::Logs;
use super::loss::{GradientRequest, Losses, PendingLosses, Targets, head};
use super::metrics::{BatchOutcome, MetricSums};
use crate::causal_lm::Gpt2CausalLm;
use crate::error::TaskError;
use crate::token_batch::check_ids;
use crate::training_batch::TrainingBatch;

impl Gpt2CausalLm {
    /// Trains on one batch, texts or a [`TrainingBatch`], and returns its loss and metrics: Keras'
    /// `train_on_batch`. Unlike in Keras, the metrics are those of this batch, not means over all
    /// batches so far.
    ///
    /// ```
    /// # use gpt2_task::testing::model;
    /// let mut model = model();
    /// let texts = ["a plane", "airport"];
    /// let before = model.test_on_batch(&texts)?.get("loss");
    /// for _ in 0..10 {
    ///     model.train_on_batch(&texts)?;
    /// }
    /// assert!(model.test_on_batch(&texts)?.get("loss") < before);
    /// # Ok::<(), gpt2_task::TaskError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`TaskError::NoPreprocessor`] for text without a preprocessor,
    /// [`TaskError::EmptyTrainingData`], [`TaskError::TokenOutOfRange`], [`TaskError::Backbone`]
    /// for rows longer than the model's `max_sequence_length` or an unsupported float type,
    /// [`TaskError::NothingToTrain`], and [`TaskError::NarrowWeights`].
    pub fn train_on_batch<'a>(
        &mut self,
        data: impl Into<TrainingData<'a>>,
    ) -> Result<Logs, TaskError> {
        let batch = data.into().into_batch(self.preprocessor(), "train_on_batch")?;
        let outcome = self.train_step(&batch, self.training_seed())?;
        Ok(self.logs_of(&outcome))
    }

    /// Loss and metrics of one batch, without dropout: Keras' `test_on_batch`.
    ///
    /// # Errors
    ///
    /// Those of [`train_on_batch`](Self::train_on_batch).
    pub fn test_on_batch<'a>(&self, data: impl Into<TrainingData<'a>>) -> Result<Logs, TaskError> {
        let batch = data.into().into_batch(self.preprocessor(), "test_on_batch")?;
        Ok(self.logs_of(&self.test_step(&batch)?))
    }

    /// Gradients of the loss of one batch, without dropout: flat tensors by the path of their
    /// parameter.
    ///
    /// # Errors
    ///
    /// Those of [`train_on_batch`](Self::train_on_batch).
    pub fn gradients(
        &self,
        batch: &TrainingBatch,
    ) -> Result<(Logs, ParameterGradients), TaskError> {
        let (losses, gradients) = self.gradients_of(batch, None, 1.0)?;
        Ok((self.logs_of(&outcome(batch, losses)?), gradients))
    }

    fn logs_of(&self, outcome: &BatchOutcome) -> Logs {
        let mut sums = MetricSums::default();
        sums.add(outcome);
        sums.logs(&self.training_setup().weighted_metrics, "")
    }

    /// One optimizer step. The seed and the optimizer's iterations determine dropout.
    pub(crate) fn train_step(
        &mut self,
        batch: &TrainingBatch,
        seed: u64,
    ) -> Result<BatchOutcome, TaskError> {
        let optimizer = &self.training_setup().optimizer;
        let dropout = DropoutSeed { seed, step: optimizer.iterations() };
        let scale = optimizer.loss_scale_factor();
        let (losses, gradients) = self.gradients_of(batch, Some(dropout), scale)?;
        self.apply_gradients(gradients)?;
        outcome(batch, losses)
    }

    fn gradients_of(
        &self,
        batch: &TrainingBatch,
        dropout: Option<DropoutSeed>,
        loss_scale: f64,
    ) -> Result<(PendingLosses, ParameterGradients), TaskError> {
        let (setup, backbone) = (self.training_setup(), self.backbone());
        let vocabulary_size = backbone.config().vocabulary_size;
        batch.check()?;
        check_ids("y", &batch.y, vocabulary_size)?;
        let (token_ids, mask) = batch.x.to_tensors(vocabulary_size, &backbone.device())?;
        let trainable = backbone.trainable_parameters();
        if trainable.is_empty() {
            return Err(TaskError::NothingToTrain);
        }
        if backbone.dtype() != DType::F32 {
            return Err(TaskError::NarrowWeights { dtype: format!("{:?}", backbone.dtype()) });
        }
        let options = TrainingOptions {
            dropout,
            gradient_checkpointing: setup.gradient_checkpointing,
            compute_dtype: setup.precision.compute_dtype(),
        };
        let (hidden, back) = backbone.forward_for_training(token_ids, Some(mask), options)?;
        let output_weights = backbone.token_embedding.output_weights();
        let table = trainable.iter().any(|path| path == output_weights.path);
        let request = GradientRequest { loss_scale, table };
        let (ids, weights) = (batch.y.concat(), batch.sample_weight.concat());
        let targets = Targets { ids: &ids, weights: &weights };
        let output = head(
            output_weights,
            hidden,
            &targets,
            setup.loss,
            Some(request),
            options.compute_dtype,
        );
        let head_gradients = output.gradients.expect("gradients were asked for");
        // The backward pass adds the gradient of the embeddings to that of a tied table.
        let table = head_gradients.table.into_iter();
        let table = table.map(|(path, gradient)| (path.to_owned(), gradient)).collect();
        let gradients = back.backward(head_gradients.hidden, table);
        Ok((output.losses, gradients))
    }

    /// Loss and metrics of one batch, without dropout.
    pub(crate) fn test_step(&self, batch: &TrainingBatch) -> Result<BatchOutcome, TaskError> {
        let backbone = self.backbone();
        let vocabulary_size = backbone.config().vocabulary_size;
        batch.check()?;
        check_ids("y", &batch.y, vocabulary_size)?;
        let (token_ids, mask) = batch.x.to_tensors(vocabulary_size, &backbone.device())?;
        let options = ForwardOptions { padding_mask: Some(mask), ..Default::default() };
        let hidden = backbone.forward_with(token_ids, options)?;
        let (ids, weights): (Vec<TokenId>, Vec<f32>) =
            (batch.y.concat(), batch.sample_weight.concat());
        let targets = Targets { ids: &ids, weights: &weights };
        let dtype = Some(backbone.compute_dtype()).filter(|dtype| *dtype != DType::F32);
        let (weights, loss) =
            (backbone.token_embedding.output_weights(), self.training_setup().loss);
        let output = head(weights, hidden, &targets, loss, None, dtype);
        outcome(batch, output.losses)
    }
}

/// Waits for the losses of a batch.
fn outcome(batch: &TrainingBatch, pending: PendingLosses) -> Result<BatchOutcome, TaskError> {
    let (ids, weights) = (batch.y.concat(), batch.sample_weight.concat());
    let targets = Targets { ids: &ids, weights: &weights };
    let Losses { loss, losses, hits } = pending.wait(&targets)?;
    Ok(BatchOutcome { rows: batch.batch_size(), loss, losses, hits, weights })
}
