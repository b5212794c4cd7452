//! Simulated trainings for the tests of callbacks.

use burn::module::Param;

use super::callback::Callback;
use crate::causal_lm::Gpt2CausalLm;
use crate::error::BoxError;
use crate::training::logs::Logs;
use crate::training::trainer::Trainer;

/// Training of two epochs with four batches each.
pub(super) fn trainer(model: &mut Gpt2CausalLm) -> Trainer<'_> {
    Trainer {
        model,
        epochs: 2,
        steps_per_epoch: Some(4),
        first_batch: 0,
        tokens: 0,
        stop: false,
        interrupted: false,
        validates: false,
        accepts_non_finite: false,
        leaves_validation_out: false,
    }
}

pub(super) fn logs(numbers: &[(&str, f64)]) -> Logs {
    let mut logs = Logs::default();
    for &(name, number) in numbers {
        logs.set(name, number);
    }
    logs
}

/// Ends an epoch without batches with these numbers. Returns the numbers after the callback.
pub(super) fn epoch(
    callback: &mut dyn Callback,
    trainer: &mut Trainer<'_>,
    epoch: usize,
    numbers: &[(&str, f64)],
) -> Result<Logs, BoxError> {
    let mut logs = logs(numbers);
    callback.on_epoch_begin(epoch, trainer)?;
    callback.on_epoch_end(epoch, &mut logs, trainer)?;
    Ok(logs)
}

/// Stores a number in the model's weights.
pub(super) fn mark(trainer: &mut Trainer<'_>, number: usize) {
    let mut backbone = trainer.model().backbone().clone();
    let beta = &mut backbone.layer_norm.beta;
    *beta = Param::from_tensor(beta.val().zeros_like().add_scalar(number as f32));
    trainer.model_mut().set_backbone(backbone).expect("the vocabulary is the same");
}

/// Number that is stored in the model's weights.
pub(super) fn marked(trainer: &Trainer<'_>) -> usize {
    let beta = trainer.model().backbone().layer_norm.beta.val();
    beta.into_data().try_to_vec::<f32>().expect("parameters are floats")[0] as usize
}
