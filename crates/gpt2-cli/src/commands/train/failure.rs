//! Trainings that end early: reasons and remedies.

use anyhow::ensure;
use gpt2_task::TaskError;
use serde_json::json;

use super::course::Diverged;
use super::session::{Session, Trained};
use super::settings;
use crate::answer::Answer;

const REMEDY: &str = "lower --learning-rate or clip gradients (--optimizer \
                      adam:global_clipnorm=1), and begin anew with --restart";

impl Session<'_> {
    /// Result of a training that ended with an error.
    pub(super) fn explain(&self, error: TaskError) -> anyhow::Result<Answer> {
        match error {
            TaskError::Interrupted { step } => self.interrupted(step),
            TaskError::ResumeMismatch { what } => Err(self.changed(&what)),
            TaskError::Callback { source, .. } if source.is::<Diverged>() => {
                Err(self.diverged(&source.to_string()))
            }
            TaskError::NonFiniteWeights { step } => {
                Err(self.diverged(&format!("the weights after step {step} are non-finite")))
            }
            error => Err(error.into()),
        }
    }

    fn interrupted(&self, step: u64) -> anyhow::Result<Answer> {
        let (output, steps) = (self.arguments.output.display(), self.plan.steps);
        if self.context.json {
            self.context.print_json(json!({
                "interrupted": true,
                "output": self.arguments.output,
                "step": step,
                "steps": steps,
            }))?;
        }
        let without = if self.arguments.restart { " without --restart" } else { "" };
        self.context.note(format_args!(
            "interrupted after step {step} of {steps}, checkpoint saved; to continue, run the same \
             command{without}"
        ));
        self.context
            .note(format_args!("the model so far: gpt2 generate --preset {output}/training/last"));
        Ok(Answer::Interrupted)
    }

    /// Names the flags that do not match a checkpoint.
    fn changed(&self, what: &str) -> anyhow::Error {
        let file = self.folder.file(settings::FILE);
        let mut changes = settings::changes(self.arguments, &file);
        if changes.is_empty() && what.starts_with("training data") {
            changes.push("--train: the files have changed".to_owned());
        } else if changes.is_empty() && what.starts_with("validation data") {
            changes.push("--validation: the files have changed".to_owned());
        } else if changes.is_empty() {
            changes.push(what.to_owned());
        }
        anyhow::anyhow!(
            "cannot continue the training in {}: {}; train with the old settings, or pass --restart \
             to delete its checkpoint and begin anew",
            self.arguments.output.display(),
            changes.join("; ")
        )
    }

    fn diverged(&self, found: &str) -> anyhow::Error {
        let is_kept = self.folder.file("last").exists();
        let kept = is_kept.then(|| {
            let last = self.folder.file("last");
            // Its loss is that before the update of its last step.
            format!(
                " (the last checkpoint is {}, before that; its model may have diverged as well)",
                last.display()
            )
        });
        anyhow::anyhow!(
            "the training diverged: {found}; no preset is written{}; {REMEDY}",
            kept.unwrap_or_default()
        )
    }

    /// Returns an error for a training without a step.
    pub(super) fn check_result(&self, trained: &Trained) -> anyhow::Result<()> {
        ensure!(
            trained.history.epoch.contains(&trained.kept_epoch),
            "no step was trained; no preset is written"
        );
        Ok(())
    }
}
