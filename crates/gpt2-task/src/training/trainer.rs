//! Interface of a running training for callbacks.

use burn::tensor::Tensor;
use gpt2_backbone::{read_f32, visit_tensors};

use crate::causal_lm::Gpt2CausalLm;
use crate::error::TaskError;

/// Running training: the model, its progress, and ways to stop it.
pub struct Trainer<'a> {
    pub(crate) model: &'a mut Gpt2CausalLm,
    pub(crate) epochs: usize,
    pub(crate) steps_per_epoch: Option<usize>,
    pub(crate) first_batch: usize,
    pub(crate) tokens: u64,
    pub(crate) stop: bool,
    /// Whether the training ends early, with a checkpoint.
    pub(crate) interrupted: bool,
    /// Whether a non-finite loss ends the training without an error.
    pub(crate) accepts_non_finite: bool,
    /// Whether there are validation data.
    pub(crate) validates: bool,
    /// Whether no validation follows the current epoch, though it follows others.
    pub(crate) leaves_validation_out: bool,
}

impl Trainer<'_> {
    /// Current model.
    pub fn model(&self) -> &Gpt2CausalLm {
        self.model
    }

    /// Mutable access to the model.
    pub fn model_mut(&mut self) -> &mut Gpt2CausalLm {
        self.model
    }

    /// Number of the epoch before which the training ends.
    pub fn epochs(&self) -> usize {
        self.epochs
    }

    /// Batches in an epoch. None if the number is not known.
    pub fn steps_per_epoch(&self) -> Option<usize> {
        self.steps_per_epoch
    }

    /// First batch of the current epoch that ran in this process. It is 0, except in the epoch in
    /// which a training was resumed.
    pub fn first_batch(&self) -> usize {
        self.first_batch
    }

    /// Number of tokens with a positive weight that this process has trained on.
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    /// Whether there are validation data.
    pub fn validates(&self) -> bool {
        self.validates
    }

    /// Whether there are validation data, but no validation follows the current epoch.
    pub fn leaves_validation_out(&self) -> bool {
        self.leaves_validation_out
    }

    /// Lets a non-finite loss end the training without an error. From now on no checkpoint is
    /// written or removed: the last one precedes the failure.
    pub fn accept_non_finite_loss(&mut self) {
        self.accepts_non_finite = true;
    }

    /// Interrupts the training after the current batch: saves a checkpoint, if there is a store,
    /// and ends `fit` with [`TaskError::Interrupted`](crate::TaskError::Interrupted).
    ///
    /// The epoch is not finished; a resumed training continues with the next batch. After the end
    /// of the last epoch, or with [`stop_training`](Self::stop_training), this has no effect.
    pub fn interrupt_training(&mut self) {
        self.interrupted = true;
    }

    /// Whether the training has been interrupted.
    pub fn is_interrupted(&self) -> bool {
        self.interrupted
    }

    /// Checks that all weights are finite. The loss does not show it: the last update comes after
    /// it.
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

    /// Ends the training after the current batch.
    pub fn stop_training(&mut self) {
        self.stop = true;
    }
}
