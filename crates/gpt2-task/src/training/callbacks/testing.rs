//! Trainings by hand, for the tests of callbacks.

use burn::module::Param;

use super::callback::Callback;
use crate::causal_lm::Gpt2CausalLm;
use crate::error::BoxError;
use crate::training::logs::Logs;
use crate::training::trainer::Trainer;

/// A training of two epochs of four batches.
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

/// An epoch without batches that ends with these numbers; returns what the callback made of them.
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

/// Trains the model to know a number.
pub(super) fn mark(trainer: &mut Trainer<'_>, number: usize) {
    let mut backbone = trainer.model().backbone().clone();
    let beta = &mut backbone.layer_norm.beta;
    *beta = Param::from_tensor(beta.val().zeros_like().add_scalar(number as f32));
    trainer.model_mut().set_backbone(backbone).expect("the vocabulary is the same");
}

/// The number that the model knows.
pub(super) fn marked(trainer: &Trainer<'_>) -> usize {
    let beta = trainer.model().backbone().layer_norm.beta.val();
    beta.into_data().try_to_vec::<f32>().expect("parameters are floats")[0] as usize
}
