//! Ends a training that no longer improves.

use gpt2_backbone::Gpt2Backbone;
use serde::{Deserialize, Serialize};

use super::callback::{Callback, CallbackState};
use super::monitor::{Monitor, MonitorMode};
use super::resumable::Resumable;
use crate::error::BoxError;
use crate::training::logs::Logs;
use crate::training::trainer::Trainer;

/// Ends the training when a number has not improved for `patience` epochs, but never after the
/// first epoch (`keras/src/callbacks/early_stopping.py`).
///
/// ```
/// use gpt2_task::callbacks::EarlyStopping;
///
/// let callback = EarlyStopping::new("val_loss").with_patience(3).with_restore_best_weights(true);
/// ```
#[derive(Debug, Clone)]
pub struct EarlyStopping {
    monitor: Monitor,
    patience: usize,
    baseline: Option<f64>,
    restore_best_weights: bool,
    start_from_epoch: usize,
    seen: Resumable<Seen>,
    best_weights: Option<Gpt2Backbone>,
}

/// State over the epochs so far.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Seen {
    wait: usize,
    best: Option<f64>,
    best_epoch: Option<usize>,
    stopped_epoch: Option<usize>,
}

impl EarlyStopping {
    /// Monitors the number `monitor` without patience. Keras' default is `val_loss`.
    pub fn new(monitor: impl Into<String>) -> Self {
        Self {
            monitor: Monitor::new("EarlyStopping", monitor),
            patience: 0,
            baseline: None,
            restore_best_weights: false,
            start_from_epoch: 0,
            seen: Resumable::default(),
            best_weights: None,
        }
    }

    /// Sets the smallest change that counts as an improvement. Default: 0.
    #[must_use]
    pub fn with_min_delta(mut self, min_delta: f64) -> Self {
        self.monitor = self.monitor.with_min_delta(min_delta);
        self
    }

    /// Sets the epochs without improvement after which the training ends. Default: 0.
    #[must_use]
    pub fn with_patience(mut self, patience: usize) -> Self {
        self.patience = patience;
        self
    }

    /// Sets the direction of improvement. Default: determined by the name.
    #[must_use]
    pub fn with_mode(mut self, mode: MonitorMode) -> Self {
        self.monitor = self.monitor.with_mode(mode);
        self
    }

    /// Sets a baseline: only an improvement that also passes it restarts the patience. Default:
    /// none.
    #[must_use]
    pub fn with_baseline(mut self, baseline: f64) -> Self {
        self.baseline = Some(baseline);
        self
    }

    /// Sets whether the training ends with the weights of its best epoch, not of the last. Default:
    /// false.
    ///
    /// The best epoch counts even if it does not pass the baseline. The callback keeps a second
    /// copy of the weights.
    #[must_use]
    pub fn with_restore_best_weights(mut self, restore_best_weights: bool) -> Self {
        self.restore_best_weights = restore_best_weights;
        self
    }

    /// Sets the first epoch to monitor, counted from 0. Default: 0.
    #[must_use]
    pub fn with_start_from_epoch(mut self, epoch: usize) -> Self {
        self.start_from_epoch = epoch;
        self
    }

    /// Best number so far.
    pub fn best(&self) -> Option<f64> {
        self.seen.best
    }

    /// Epoch of the best weights, from 0.
    pub fn best_epoch(&self) -> Option<usize> {
        self.seen.best_epoch
    }

    /// Epoch after which the training was ended, from 0.
    pub fn stopped_epoch(&self) -> Option<usize> {
        self.seen.stopped_epoch
    }

    fn keep_weights(&mut self, epoch: usize, trainer: &Trainer<'_>) {
        self.seen.best_epoch = Some(epoch);
        if self.restore_best_weights {
            self.best_weights = Some(trainer.model().backbone().clone());
        }
    }
}

impl Callback for EarlyStopping {
    fn name(&self) -> &str {
        "EarlyStopping"
    }

    fn on_train_begin(&mut self, _trainer: &mut Trainer<'_>) -> Result<(), BoxError> {
        self.monitor.validate()?;
        if self.seen.begin() {
            self.best_weights = None;
        }
        Ok(())
    }

    fn on_epoch_end(
        &mut self,
        epoch: usize,
        logs: &mut Logs,
        trainer: &mut Trainer<'_>,
    ) -> Result<(), BoxError> {
        let Some(value) = self.monitor.observe(logs, trainer)? else { return Ok(()) };
        if epoch < self.start_from_epoch {
            return Ok(());
        }
        if self.restore_best_weights && self.best_weights.is_none() {
            // The first weights are the best so far, whatever their number.
            self.keep_weights(epoch, trainer);
        }
        self.seen.wait += 1;
        if self.monitor.improved(value, self.seen.best)? {
            self.seen.best = Some(value);
            self.keep_weights(epoch, trainer);
            if self.baseline.is_none() || self.monitor.improved(value, self.baseline)? {
                self.seen.wait = 0;
            }
        } else if self.seen.wait >= self.patience && epoch > 0 {
            self.seen.stopped_epoch = Some(epoch);
            trainer.stop_training();
        }
        Ok(())
    }

    fn on_train_end(&mut self, trainer: &mut Trainer<'_>) -> Result<(), BoxError> {
        if let Some(weights) = self.best_weights.take() {
            trainer.model_mut().set_backbone(weights)?;
        }
        Ok(())
    }

    fn state(&self) -> CallbackState {
        CallbackState { weights: self.best_weights.clone(), ..self.seen.to_state() }
    }

    fn restore(&mut self, state: CallbackState) -> Result<(), BoxError> {
        self.seen.restore(state.json)?;
        self.best_weights = state.weights;
        Ok(())
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::testing::model;
    use crate::training::callbacks::testing::{epoch, mark, marked, trainer};

    /// Number of epochs until the callback ends the training, at most one for each loss. Every
    /// epoch stores its number in the model.
    fn epochs_run(callback: &mut EarlyStopping, first: usize, losses: &[f64]) -> usize {
        let mut model = model();
        let mut trainer = trainer(&mut model);
        callback.on_train_begin(&mut trainer).unwrap();
        for (number, &loss) in losses.iter().enumerate().skip(first) {
            mark(&mut trainer, number);
            epoch(callback, &mut trainer, number, &[("val_loss", loss)]).unwrap();
            if trainer.stop {
                return number + 1;
            }
        }
        losses.len()
    }

    fn early_stopping() -> EarlyStopping {
        EarlyStopping::new("val_loss")
    }

    #[test]
    fn patience_counts_the_epochs_without_improvement() {
        let losses = [3.0, 2.0, 2.5, 2.0, 1.0, 1.5, 1.5, 1.5, 0.5];
        for (patience, expected) in [(0, 3), (1, 3), (2, 4), (3, 8), (4, 9)] {
            let mut callback = early_stopping().with_patience(patience);
            assert_eq!(epochs_run(&mut callback, 0, &losses), expected, "patience {patience}");
        }
        let mut callback = early_stopping().with_patience(2);
        epochs_run(&mut callback, 0, &losses);
        assert_eq!(
            (callback.stopped_epoch(), callback.best_epoch(), callback.best()),
            (Some(3), Some(1), Some(2.0))
        );
        assert_eq!(epochs_run(&mut callback, 0, &[9.0, 8.0, 7.0]), 3, "a second training is new");
    }

    #[test]
    fn the_baseline_must_be_passed_in_time() {
        let losses = [3.0, 2.9, 2.9, 1.0, 1.5, 1.5, 1.5];
        let mut never = early_stopping().with_patience(3).with_baseline(0.5);
        assert_eq!(epochs_run(&mut never, 0, &losses), 3);
        let mut in_time = early_stopping().with_patience(4).with_baseline(2.0);
        assert_eq!(epochs_run(&mut in_time, 0, &losses), 7);
    }

    #[test]
    fn the_first_epochs_may_be_left_out() {
        let losses = [1.0, 9.0, 9.0, 8.0, 8.5, 8.5];
        let mut callback = early_stopping().with_patience(1).with_start_from_epoch(2);
        assert_eq!(epochs_run(&mut callback, 0, &losses), 5);
        assert_eq!(callback.best(), Some(8.0));
    }

    #[test]
    fn the_best_weights_come_back() {
        for (restore_best_weights, losses, expected) in [
            (true, [3.0, 1.0, 2.0], 1),
            (false, [3.0, 1.0, 2.0], 2),
            (true, [f64::NAN, f64::NAN, f64::NAN], 0),
        ] {
            let mut model = model();
            let mut trainer = trainer(&mut model);
            let mut callback = early_stopping().with_patience(5);
            callback = callback.with_restore_best_weights(restore_best_weights);
            callback.on_train_begin(&mut trainer).unwrap();
            for (number, loss) in losses.into_iter().enumerate() {
                mark(&mut trainer, number);
                epoch(&mut callback, &mut trainer, number, &[("val_loss", loss)]).unwrap();
            }
            callback.on_train_end(&mut trainer).unwrap();
            assert_eq!(marked(&trainer), expected, "{losses:?}");
        }
    }

    #[test]
    fn a_resumed_training_ends_where_an_unbroken_one_does() {
        let losses = [3.0, 1.0, 2.0, 2.0, 2.0, 2.0];
        let callback = || early_stopping().with_patience(3).with_restore_best_weights(true);
        let mut first = callback();
        epochs_run(&mut first, 0, &losses[..3]);
        let mut second = callback();
        second.restore(first.state()).unwrap();
        assert_eq!(epochs_run(&mut second, 3, &losses), 5);
        assert_eq!((second.best(), second.best_epoch()), (Some(1.0), Some(1)));

        let mut model = model();
        let mut trainer = trainer(&mut model);
        second.on_train_end(&mut trainer).unwrap();
        assert_eq!(marked(&trainer), 1, "the weights came along");
    }

    #[test]
    fn a_number_that_is_not_there_is_an_error() {
        let mut model = model();
        let mut trainer = trainer(&mut model);
        let found = epoch(&mut early_stopping(), &mut trainer, 0, &[("loss", 1.0)]);
        assert!(found.unwrap_err().to_string().contains("`loss`, found `val_loss`"));
        let begin = EarlyStopping::new("val_bleu").on_train_begin(&mut trainer);
        assert!(begin.unwrap_err().to_string().contains("`mode`"), "before the first epoch");
    }
}
