//! Ends a training with a non-finite loss.

use super::callback::Callback;
use crate::error::BoxError;
use crate::training::logs::Logs;
use crate::training::trainer::Trainer;

/// Ends the training when the loss is NaN or infinite (`keras/src/callbacks/terminate_on_nan.py`).
///
/// Without this callback, such a loss is an error of `fit`. With it, the epoch ends and `fit`
/// returns. An existing checkpoint stays unchanged.
///
/// ```
/// use gpt2_task::callbacks::TerminateOnNan;
///
/// let callback = TerminateOnNan::new().with_raise_error(true);
/// ```
#[doc(alias = "TerminateOnNaN")]
#[derive(Debug, Clone, Default)]
pub struct TerminateOnNan {
    raise_error: bool,
    invalid_batch: Option<usize>,
}

/// The loss is NaN or infinite.
#[derive(Debug, thiserror::Error)]
#[error("the loss is {loss} at batch {batch}; a lower learning rate or gradient clipping may help")]
struct InvalidLoss {
    loss: f64,
    batch: usize,
}

impl TerminateOnNan {
    /// Treats a non-finite loss as a normal stop: the other callbacks still finish their work.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets whether the training ends with an error and keeps its last checkpoint. Default: false.
    #[must_use]
    pub fn with_raise_error(mut self, raise_error: bool) -> Self {
        self.raise_error = raise_error;
        self
    }

    /// Batch that ended the training, counted from 0 in its epoch.
    pub fn invalid_batch(&self) -> Option<usize> {
        self.invalid_batch
    }
}

impl Callback for TerminateOnNan {
    fn name(&self) -> &str {
        "TerminateOnNan"
    }

    fn on_train_begin(&mut self, _trainer: &mut Trainer<'_>) -> Result<(), BoxError> {
        self.invalid_batch = None;
        Ok(())
    }

    fn on_train_batch_end(
        &mut self,
        batch: usize,
        logs: &Logs,
        trainer: &mut Trainer<'_>,
    ) -> Result<(), BoxError> {
        match logs.get("loss") {
            Some(loss) if !loss.is_finite() => {
                self.invalid_batch = Some(batch);
                if self.raise_error {
                    return Err(InvalidLoss { loss, batch }.into());
                }
                trainer.accept_non_finite_loss();
                trainer.stop_training();
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::testing::model;
    use crate::training::callbacks::testing::{logs, trainer};

    #[test]
    fn nan_and_infinity_end_the_training() {
        let mut model = model();
        let mut trainer = trainer(&mut model);
        for loss in [f64::NAN, f64::INFINITY] {
            trainer.stop = false;
            let mut callback = TerminateOnNan::new();
            callback.on_train_batch_end(0, &logs(&[("loss", 1e30)]), &mut trainer).unwrap();
            assert!(!trainer.stop && callback.invalid_batch().is_none());
            callback.on_train_batch_end(7, &logs(&[("loss", loss)]), &mut trainer).unwrap();
            assert!(trainer.stop && callback.invalid_batch() == Some(7));
        }
    }

    #[test]
    fn it_may_be_an_error() {
        let mut model = model();
        let mut trainer = trainer(&mut model);
        let mut callback = TerminateOnNan::new().with_raise_error(true);
        let found = callback.on_train_batch_end(7, &logs(&[("loss", f64::NAN)]), &mut trainer);
        assert!(found.unwrap_err().to_string().starts_with("the loss is NaN at batch 7"));
        assert!(!trainer.stop);
    }
}
