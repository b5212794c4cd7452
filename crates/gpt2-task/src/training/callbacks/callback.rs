//! The trait of callbacks.

use gpt2_backbone::Gpt2Backbone;
use serde_json::Value;

use crate::error::BoxError;
use crate::training::logs::Logs;
use crate::training::trainer::Trainer;

/// State of a callback, for a training that is resumed.
#[derive(Debug, Clone, Default)]
pub struct CallbackState {
    /// Counters and best values.
    pub json: Value,
    /// Weights that the callback holds on to.
    pub weights: Option<Gpt2Backbone>,
}

/// Called by `fit` at the beginning and the end of the training, of its epochs and of its batches
/// (`keras/src/callbacks/callback.py`).
///
/// Every method does nothing unless it is written. An error ends the training.
#[allow(unused_variables, reason = "the defaults do nothing")]
pub trait Callback {
    /// Name in errors and checkpoints.
    fn name(&self) -> &str;

    /// Before the first epoch; in a resumed training after [`restore`](Self::restore).
    fn on_train_begin(&mut self, trainer: &mut Trainer<'_>) -> Result<(), BoxError> {
        Ok(())
    }

    /// Before the first batch of an epoch, counted from 0.
    fn on_epoch_begin(&mut self, epoch: usize, trainer: &mut Trainer<'_>) -> Result<(), BoxError> {
        Ok(())
    }

    /// After a batch, counted from 0 in its epoch; the logs are means over the epoch so far.
    fn on_train_batch_end(
        &mut self,
        batch: usize,
        logs: &Logs,
        trainer: &mut Trainer<'_>,
    ) -> Result<(), BoxError> {
        Ok(())
    }

    /// After an epoch and its validation. Numbers that are added to the logs go into the history.
    fn on_epoch_end(
        &mut self,
        epoch: usize,
        logs: &mut Logs,
        trainer: &mut Trainer<'_>,
    ) -> Result<(), BoxError> {
        Ok(())
    }

    /// Before a checkpoint is written, of a model whose weights are finite.
    fn on_checkpoint(&mut self, trainer: &mut Trainer<'_>) -> Result<(), BoxError> {
        Ok(())
    }

    /// After the last epoch.
    fn on_train_end(&mut self, trainer: &mut Trainer<'_>) -> Result<(), BoxError> {
        Ok(())
    }

    /// State that a resumed training needs.
    fn state(&self) -> CallbackState {
        CallbackState::default()
    }

    /// Takes what [`state`](Self::state) gave.
    fn restore(&mut self, state: CallbackState) -> Result<(), BoxError> {
        Ok(())
    }
}
