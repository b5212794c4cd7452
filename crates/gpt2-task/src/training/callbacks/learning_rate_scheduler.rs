//! Sets the learning rate at the start of every epoch.

use super::callback::Callback;
use crate::arguments::check;
use crate::error::BoxError;
use crate::training::logs::Logs;
use crate::training::trainer::Trainer;

/// Sets the learning rate with a function of the epoch, counted from 0, and the current rate
/// (`keras/src/callbacks/learning_rate_scheduler.py`).
///
/// It adds `learning_rate` to the logs.
///
/// ```
/// use gpt2_task::callbacks::LearningRateScheduler;
///
/// let callback = LearningRateScheduler::new(|epoch, learning_rate| {
///     if epoch < 10 { learning_rate } else { learning_rate * 0.9 }
/// });
/// ```
pub struct LearningRateScheduler<F> {
    schedule: F,
}

impl<F: FnMut(usize, f64) -> f64> LearningRateScheduler<F> {
    /// Makes the callback from the function, whose result must be finite and not negative.
    pub fn new(schedule: F) -> Self {
        Self { schedule }
    }
}

impl<F: FnMut(usize, f64) -> f64> Callback for LearningRateScheduler<F> {
    fn name(&self) -> &str {
        "LearningRateScheduler"
    }

    fn on_epoch_begin(&mut self, epoch: usize, trainer: &mut Trainer<'_>) -> Result<(), BoxError> {
        if trainer.first_batch() > 0 {
            // The epoch had started, and its rate was set, before the training was interrupted.
            return Ok(());
        }
        let learning_rate = (self.schedule)(epoch, trainer.model().learning_rate());
        let valid = learning_rate.is_finite() && learning_rate >= 0.0;
        let expected = "a function to finite numbers that are not negative";
        let found = format!("{learning_rate} for epoch {epoch}");
        check(valid, self.name(), "schedule", expected, found)?;
        trainer.model_mut().set_learning_rate(learning_rate)?;
        Ok(())
    }

    fn on_epoch_end(
        &mut self,
        _epoch: usize,
        logs: &mut Logs,
        trainer: &mut Trainer<'_>,
    ) -> Result<(), BoxError> {
        logs.set("learning_rate", trainer.model().learning_rate());
        Ok(())
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::testing::model;
    use crate::training::callbacks::testing::{epoch, trainer};

    #[test]
    fn every_epoch_has_the_functions_rate() {
        let mut model = model();
        let mut trainer = trainer(&mut model);
        trainer.model_mut().set_learning_rate(1.0).unwrap();
        let mut callback =
            LearningRateScheduler::new(|epoch, rate| if epoch == 0 { rate } else { rate / 2.0 });
        for (number, expected) in [(0, 1.0), (1, 0.5), (2, 0.25)] {
            let logs = epoch(&mut callback, &mut trainer, number, &[("loss", 1.0)]).unwrap();
            assert_eq!(logs.get("learning_rate"), Some(expected));
            assert_eq!(trainer.model().learning_rate(), expected);
        }
        trainer.first_batch = 5;
        let logs = epoch(&mut callback, &mut trainer, 2, &[("loss", 1.0)]).unwrap();
        assert_eq!(logs.get("learning_rate"), Some(0.25), "an epoch is not begun twice");
    }

    #[test]
    fn a_rate_that_cannot_be_one_is_an_error() {
        let mut model = model();
        let mut trainer = trainer(&mut model);
        for bad in [f64::NAN, -1.0] {
            let mut callback = LearningRateScheduler::new(|_, _| bad);
            let error = callback.on_epoch_begin(3, &mut trainer).unwrap_err().to_string();
            assert!(error.ends_with(&format!("found {bad} for epoch 3")), "{error}");
        }
    }
}
