//! Trait of callbacks.

use gpt2_backbone::Gpt2Backbone;
use serde_json::Value;

use crate::error::BoxError;
use crate::training::logs::Logs;
use crate::training::trainer::Trainer;

/// State of a callback, for a resumed training.
#[derive(Debug, Clone, Default)]
pub struct CallbackState {
    /// Counters and best values.
    pub json: Value,
    /// Weights that the callback keeps.
    pub weights: Option<Gpt2Backbone>,
}

/// Callback of `fit`, for the start and end of the training, of epochs and of batches
/// (`keras/src/callbacks/callback.py`).
///
/// The default methods do nothing. An error ends the training.
#[allow(unused_variables, reason = "the defaults do nothing")]
pub trait Callback {
    /// Name in errors and checkpoints.
    fn name(&self) -> &str;

    /// Runs before the first epoch; in a resumed training after [`restore`](Self::restore).
    fn on_train_begin(&mut self, trainer: &mut Trainer<'_>) -> Result<(), BoxError> {
        Ok(())
    }

    /// Runs before the first batch of an epoch. `epoch` counts from 0.
    fn on_epoch_begin(&mut self, epoch: usize, trainer: &mut Trainer<'_>) -> Result<(), BoxError> {
        Ok(())
    }

    /// Runs after a batch. `batch` counts from 0 in its epoch. The logs are means over the epoch so
    /// far.
    fn on_train_batch_end(
        &mut self,
        batch: usize,
        logs: &Logs,
        trainer: &mut Trainer<'_>,
    ) -> Result<(), BoxError> {
        Ok(())
    }

    /// Runs after an epoch and its validation. Numbers that are added to the logs enter the
    /// history.
    fn on_epoch_end(
        &mut self,
        epoch: usize,
        logs: &mut Logs,
        trainer: &mut Trainer<'_>,
    ) -> Result<(), BoxError> {
        Ok(())
    }

    /// Runs before a checkpoint is written. The model's weights are finite.
    fn on_checkpoint(&mut self, trainer: &mut Trainer<'_>) -> Result<(), BoxError> {
        Ok(())
    }

    /// Runs after the last epoch.
    fn on_train_end(&mut self, trainer: &mut Trainer<'_>) -> Result<(), BoxError> {
        Ok(())
    }

    /// State for a resumed training.
    fn state(&self) -> CallbackState {
        CallbackState::default()
    }

    /// Restores a state that [`state`](Self::state) returned.
    fn restore(&mut self, state: CallbackState) -> Result<(), BoxError> {
        Ok(())
    }
}
