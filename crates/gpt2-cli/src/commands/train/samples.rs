//! Texts generated during a training.

use gpt2_task::{
    BoxError, Callback, GenerateOptions, Gpt2CausalLm, Logs, TaskError, Trainer, Truncate,
};

use crate::context::Context;

/// Maximum length of a sample in tokens, including its prompt.
const LENGTH: usize = 64;

/// Callback that prints a text for each prompt after every epoch.
pub(super) struct Samples<'a> {
    pub(super) prompts: &'a [String],
    pub(super) seed: u64,
    pub(super) context: &'a Context,
}

impl Samples<'_> {
    fn texts(&self, model: &Gpt2CausalLm) -> Result<Vec<String>, TaskError> {
        let length = LENGTH.min(model.backbone().config().max_sequence_length);
        let options = GenerateOptions::new()
            .with_max_length(length)
            .with_truncate(Truncate::Left)
            .with_seed(self.seed);
        model.generate(self.prompts, &options)
    }
}

impl Callback for Samples<'_> {
    fn name(&self) -> &str {
        "Samples"
    }

    fn on_epoch_end(
        &mut self,
        epoch: usize,
        _logs: &mut Logs,
        trainer: &mut Trainer<'_>,
    ) -> Result<(), BoxError> {
        if self.prompts.is_empty() {
            return Ok(());
        }
        match self.texts(trainer.model()) {
            Ok(texts) => {
                for text in texts {
                    self.context.note(format_args!("sample after epoch {}: {text}", epoch + 1));
                }
            }
            Err(error) => self.context.warn(format_args!("cannot generate a sample: {error}")),
        }
        Ok(())
    }
}
