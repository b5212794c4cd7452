//! Loss curves of a training, drawn while it runs.

use std::path::PathBuf;

use gpt2_files::{FileError, Staging};
use gpt2_task::callbacks::{CallbackState, StepHistory};
use gpt2_task::{BoxError, Callback, History, Logs, Trainer, plot};
use serde_json::json;

use crate::context::Context;

/// File of the curves.
const FILE: &str = "curves.svg";

/// Callback that records the losses, and draws them after every epoch.
pub(super) struct Curves<'a> {
    /// Folder of the file. None without `--plot`.
    folder: Option<PathBuf>,
    context: &'a Context,
    steps: StepHistory,
    history: History,
}

impl<'a> Curves<'a> {
    pub(super) fn new(folder: Option<PathBuf>, context: &'a Context) -> Self {
        Self { folder, context, steps: StepHistory::new(), history: History::default() }
    }

    /// Draws the curves so far, if there is a point. A failure is a warning: the training goes on.
    pub(super) fn draw(&self) {
        let is_empty = self.history.epoch.is_empty() && self.steps.points().is_empty();
        let Some(folder) = self.folder.as_ref().filter(|_| !is_empty) else { return };
        let write = || -> Result<(), FileError> {
            let mut files = Staging::new(folder)?;
            files.text(FILE, &plot(&self.history, Some(&self.steps)))?;
            files.commit()
        };
        if let Err(error) = write() {
            self.context.warn(format_args!("{:#}", anyhow::Error::from(error)));
        }
    }
}

impl Callback for Curves<'_> {
    fn name(&self) -> &str {
        "Curves"
    }

    fn on_train_begin(&mut self, trainer: &mut Trainer<'_>) -> Result<(), BoxError> {
        self.steps.on_train_begin(trainer)
    }

    fn on_epoch_begin(&mut self, epoch: usize, trainer: &mut Trainer<'_>) -> Result<(), BoxError> {
        self.steps.on_epoch_begin(epoch, trainer)
    }

    fn on_train_batch_end(
        &mut self,
        batch: usize,
        logs: &Logs,
        trainer: &mut Trainer<'_>,
    ) -> Result<(), BoxError> {
        self.steps.on_train_batch_end(batch, logs, trainer)
    }

    fn on_epoch_end(
        &mut self,
        epoch: usize,
        logs: &mut Logs,
        _trainer: &mut Trainer<'_>,
    ) -> Result<(), BoxError> {
        self.history.push(epoch, logs);
        self.draw();
        Ok(())
    }

    fn state(&self) -> CallbackState {
        let json = json!({"steps": self.steps.state().json, "history": self.history});
        CallbackState { json, weights: None }
    }

    fn restore(&mut self, mut state: CallbackState) -> Result<(), BoxError> {
        self.history = serde_json::from_value(state.json["history"].take())?;
        state.json = state.json["steps"].take();
        self.steps.restore(state)
    }
}
