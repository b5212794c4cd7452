//! A training under way, as its callbacks see it.

use crate::causal_lm::Gpt2CausalLm;

/// A training under way: the model, how far it is, and how to stop it.
pub struct Trainer<'a> {
    pub(crate) model: &'a mut Gpt2CausalLm,
    pub(crate) epochs: usize,
    pub(crate) steps_per_epoch: Option<usize>,
    pub(crate) first_batch: usize,
    pub(crate) tokens: u64,
    pub(crate) stop: bool,
    /// Whether a loss that is no number ends the training without an error.
    pub(crate) accepts_non_finite: bool,
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

    /// Whether there are validation data, which the present epoch's end does not look at.
    pub fn leaves_validation_out(&self) -> bool {
        self.leaves_validation_out
    }

    /// Has a loss that is no number end the training without an error. No checkpoint is written or
    /// removed any more: the last one is from before.
    pub fn accept_non_finite_loss(&mut self) {
        self.accepts_non_finite = true;
    }

    /// Ends the training behind the present batch.
    pub fn stop_training(&mut self) {
        self.stop = true;
    }
}
