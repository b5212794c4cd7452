//! Length of a training.

use anyhow::bail;
use gpt2_task::LearningRate;

use super::arguments::Arguments;
use crate::context::Context;
use crate::values::counted;

/// Length of a training.
#[derive(Clone, Copy)]
pub(super) struct Plan {
    pub(super) epochs: usize,
    pub(super) steps_per_epoch: usize,
    pub(super) steps: usize,
}

impl Plan {
    pub(super) fn new(arguments: &Arguments, examples: usize) -> Self {
        let pass = examples.div_ceil(arguments.batch_size.max(1));
        let steps_per_epoch = arguments.steps_per_epoch.unwrap_or(pass).max(1);
        match arguments.steps {
            Some(steps) => {
                let steps_per_epoch = steps_per_epoch.min(steps.max(1));
                Self { epochs: steps.div_ceil(steps_per_epoch), steps_per_epoch, steps }
            }
            None => {
                let epochs = arguments.epochs.unwrap_or(1);
                Self { epochs, steps_per_epoch, steps: epochs.saturating_mul(steps_per_epoch) }
            }
        }
    }

    /// Warns if a batch has room for more examples than there are.
    pub(super) fn warn_of_batch(&self, arguments: &Arguments, examples: usize, context: &Context) {
        if arguments.batch_size > examples {
            context.warn(format_args!(
                "--batch-size is {}, and a batch holds all {examples} examples: the training has \
                 {}",
                arguments.batch_size,
                counted(self.steps as u64, "step")
            ));
        }
    }

    /// Warns if the training ends before its warmup does.
    pub(super) fn warn_of_warmup(&self, schedule: &LearningRate, context: &Context) {
        // Only cosine schedules have a warmup.
        let LearningRate::Cosine(decay) = schedule else { return };
        let warmup = decay.warmup_steps;
        if warmup > 0 && warmup >= self.steps as u64 {
            context.warn(format_args!(
                "the warmup of {warmup} steps does not end before the training of {} steps: the \
                 learning rate does not reach its highest value",
                self.steps
            ));
        }
    }
}

/// Returns an error for a training without steps.
pub(super) fn check(arguments: &Arguments) -> anyhow::Result<()> {
    let counts = [
        ("--steps", arguments.steps),
        ("--epochs", arguments.epochs),
        ("--steps-per-epoch", arguments.steps_per_epoch),
        ("--batch-size", Some(arguments.batch_size)),
        ("--save-every", Some(arguments.save_every)),
    ];
    if let Some((flag, _)) = counts.into_iter().find(|(_, count)| *count == Some(0)) {
        bail!("`{flag}` must be at least 1, found 0; nothing would be trained");
    }
    Ok(())
}
