//! Start, interruption, divergence and end of a training.

use std::fmt;

use gpt2_task::{BoxError, Callback, Logs, Trainer};

use super::arguments::Arguments;
use super::folder::{Litter, OutputFolder};
use super::plan::Plan;
use super::{log, settings};
use crate::context::Context;
use crate::interrupt;

/// A number of the training is not finite.
#[derive(Debug)]
pub(super) struct Diverged(String);

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
        logs: &Logs,
        trainer: &mut Trainer<'_>,
    ) -> Result<(), BoxError> {
        let step = trainer.model().optimizer().iterations();
        check_finite(logs, format_args!("step {step}"))?;
        if step >= self.plan.steps as u64 {
            trainer.stop_training();
        }
        interrupt_if_requested(trainer);
        Ok(())
    }

    fn on_epoch_end(
        &mut self,
        epoch: usize,
        logs: &mut Logs,
        trainer: &mut Trainer<'_>,
    ) -> Result<(), BoxError> {
        check_finite(logs, format_args!("epoch {}", epoch + 1))?;
        // A signal may arrive during the validation.
        interrupt_if_requested(trainer);
        Ok(())
    }
}

/// Ends a training whose loss is not finite, or so high that its perplexity overflows. No
/// checkpoint is written then.
fn check_finite(logs: &Logs, place: impl fmt::Display) -> Result<(), Diverged> {
    match logs.iter().find(|(_, value)| !value.is_finite()) {
        None => Ok(()),
        Some((name, value)) => Err(Diverged(format!("{name} at {place} is {value}"))),
    }
}

impl fmt::Display for Diverged {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Diverged {}

fn interrupt_if_requested(trainer: &mut Trainer<'_>) {
    if interrupt::requested() {
        trainer.interrupt_training();
    }
}
