//! A training under way, as its callbacks see it.

use burn::tensor::Tensor;
use gpt2_backbone::{read_f32, visit_tensors};

use crate::causal_lm::Gpt2CausalLm;
use crate::error::TaskError;

/// A training under way: the model, how far it is, and how to stop it.
pub struct Trainer<'a> {
    pub(crate) model: &'a mut Gpt2CausalLm,
    pub(crate) epochs: usize,
    pub(crate) steps_per_epoch: Option<usize>,
    pub(crate) first_batch: usize,
    pub(crate) tokens: u64,
    pub(crate) stop: bool,
    /// Whether the training ends before its end, with a checkpoint.
    pub(crate) interrupted: bool,
    /// Whether a loss that is no number ends the training without an error.
    pub(crate) accepts_non_finite: bool,
    /// Whether there are validation data.
    pub(crate) validates: bool,
    /// Whether the present epoch is not followed by a validation, though others are.
    pub(crate) leaves_validation_out: bool,
}

impl Trainer<'_> {
    /// The model as it is now.
    pub fn model(&self) -> &Gpt2CausalLm {
        self.model
    }

    /// The model, to change it.
    pub fn model_mut(&mut self) -> &mut Gpt2CausalLm {
        self.model
    }

    /// The epoch before which the training ends.
    pub fn epochs(&self) -> usize {
        self.epochs
    }

    /// Batches in an epoch, where that is known.
    pub fn steps_per_epoch(&self) -> Option<usize> {
        self.steps_per_epoch
    }

    /// The first batch of the present epoch that ran in this process: not 0 in the epoch in which
    /// a training was resumed.
    pub fn first_batch(&self) -> usize {
        self.first_batch
    }

    /// Tokens with a weight that this process has trained on.
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    /// Whether there are validation data.
    pub fn validates(&self) -> bool {
        self.validates
    }

    /// Whether there are validation data, which the present epoch's end does not look at.
    pub fn leaves_validation_out(&self) -> bool {
        self.leaves_validation_out
    }

    /// Has a loss that is no number end the training without an error. No checkpoint is written or
    /// removed any more: the last one is from before.
    pub fn accept_non_finite_loss(&mut self) {
        self.accepts_non_finite = true;
    }

    /// Interrupts the training after the present batch: saves a checkpoint, if there is a store, and
    /// ends `fit` with [`TaskError::Interrupted`](crate::TaskError::Interrupted). The epoch is not
    /// finished; a resumed training continues with the next batch. After the end of the
    /// last epoch, or with [`stop_training`](Self::stop_training), it has no effect.
    pub fn interrupt_training(&mut self) {
        self.interrupted = true;
    }

    /// Whether the training has been interrupted.
    pub fn is_interrupted(&self) -> bool {
        self.interrupted
    }

    /// Checks that all weights are finite. The loss cannot tell: it is that of the weights before
    /// the last update.
    ///
    /// # Errors
    ///
    /// [`TaskError::NonFiniteWeights`].
    pub fn check_weights(&self) -> Result<(), TaskError> {
        let mut sums = Vec::new();
        visit_tensors(self.model.backbone(), |_, parameter| {
            sums.push(parameter.values.abs().sum());
        });
        let sum = read_f32(Tensor::cat(sums, 0).sum())?;
        if sum.iter().all(|sum| sum.is_finite()) {
            return Ok(());
        }
        Err(TaskError::NonFiniteWeights { step: self.model.optimizer().iterations() })
    }

    /// Ends the training after the present batch.
    pub fn stop_training(&mut self) {
        self.stop = true;
    }
}
