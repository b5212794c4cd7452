//! Preset `training/last`: the model of the last checkpoint.

use std::path::PathBuf;

use gpt2_task::{BoxError, Callback, Trainer};

use crate::model;

/// Callback that saves the model whenever a checkpoint is written.
pub(super) struct Last {
    pub(super) folder: PathBuf,
}

impl Callback for Last {
    fn name(&self) -> &str {
        "Last"
    }

    fn on_checkpoint(&mut self, trainer: &mut Trainer<'_>) -> Result<(), BoxError> {
        Ok(model::save(trainer.model(), &self.folder)?)
    }
}
