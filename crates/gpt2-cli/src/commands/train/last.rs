//! Preset `training/last`: the model of the last checkpoint.

use std::path::PathBuf;

use gpt2_task::{BoxError, Callback, Gpt2CausalLm, Logs, Trainer};

use crate::model;

/// Callback that saves the model whenever a checkpoint is written.
pub(super) struct Last {
    pub(super) folder: PathBuf,
    /// Batches between two checkpoints.
    pub(super) save_every: usize,
}

impl Last {
    fn save(&self, model: &Gpt2CausalLm) -> Result<(), BoxError> {
        Ok(model::save(model, &self.folder)?)
    }
}

impl Callback for Last {
    fn name(&self) -> &str {
        "Last"
    }

    fn on_train_batch_end(
        &mut self,
        batch: usize,
        logs: &Logs,
        trainer: &mut Trainer<'_>,
    ) -> Result<(), BoxError> {
        let is_due = (batch + 1).is_multiple_of(self.save_every) || trainer.is_interrupted();
        let is_finite = || logs.get("loss").is_some_and(f64::is_finite);
        // `fit` itself ends with the error.
        if is_due && is_finite() && trainer.check_weights().is_ok() {
            self.save(trainer.model())?;
        }
        Ok(())
    }

    fn on_epoch_end(
        &mut self,
        _epoch: usize,
        _logs: &mut Logs,
        trainer: &mut Trainer<'_>,
    ) -> Result<(), BoxError> {
        if trainer.check_weights().is_ok() {
            self.save(trainer.model())?;
        }
        Ok(())
    }
}
