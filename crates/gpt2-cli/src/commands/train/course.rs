//! Start, interruption and end of a training.

use gpt2_task::{BoxError, Callback, Logs, Trainer};

use super::arguments::Arguments;
use super::folder::{Litter, OutputFolder};
use super::plan::Plan;
use super::{log, settings};
use crate::context::Context;
use crate::interrupt;

/// Callback that starts, interrupts and ends a training.
pub(super) struct Course<'a> {
    pub(super) arguments: &'a Arguments,
    pub(super) context: &'a Context,
    pub(super) folder: &'a OutputFolder,
    pub(super) header: Vec<String>,
    pub(super) plan: Plan,
    pub(super) litter: Litter,
}

impl Callback for Course<'_> {
    fn name(&self) -> &str {
        "Course"
    }

    fn on_train_begin(&mut self, trainer: &mut Trainer<'_>) -> Result<(), BoxError> {
        self.litter.keep();
        interrupt::hold_back();
        let step = trainer.model().optimizer().iterations();
        log::cut(&self.folder.file("log.jsonl"), step)?;
        settings::write(self.arguments, &self.folder.file(settings::FILE))?;
        self.header.iter().for_each(|line| self.context.note(line));
        if step > 0 {
            self.context.note(format_args!("continues at step {step} of {}", self.plan.steps));
        }
        Ok(())
    }

    fn on_train_batch_end(
        &mut self,
        _batch: usize,
        _logs: &Logs,
        trainer: &mut Trainer<'_>,
    ) -> Result<(), BoxError> {
        if trainer.model().optimizer().iterations() >= self.plan.steps as u64 {
            trainer.stop_training();
        }
        interrupt_if_requested(trainer);
        Ok(())
    }

    fn on_epoch_end(
        &mut self,
        _epoch: usize,
        _logs: &mut Logs,
        trainer: &mut Trainer<'_>,
    ) -> Result<(), BoxError> {
        // A signal may arrive during the validation.
        interrupt_if_requested(trainer);
        Ok(())
    }
}

fn interrupt_if_requested(trainer: &mut Trainer<'_>) {
    if interrupt::requested() {
        trainer.interrupt_training();
    }
}
