//! Lowers the learning rate of a training that no longer improves.

use serde::{Deserialize, Serialize};

use super::callback::{Callback, CallbackState};
use super::monitor::{Monitor, MonitorMode};
use super::resumable::Resumable;
use crate::arguments::{check, check_fraction};
use crate::error::{BoxError, TaskError};
use crate::training::logs::Logs;
use crate::training::trainer::Trainer;

/// Name of the callback.
const NAME: &str = "ReduceLrOnPlateau";

/// Lowers the learning rate when a number has not improved for `patience` epochs
/// (`keras/src/callbacks/reduce_lr_on_plateau.py`).
///
/// It adds `learning_rate`, the rate of the finished epoch, to the logs.
///
/// ```
/// use gpt2_task::callbacks::ReduceLrOnPlateau;
///
/// let callback = ReduceLrOnPlateau::new("val_loss").with_factor(0.5).with_patience(2);
/// ```
#[doc(alias = "ReduceLROnPlateau")]
#[derive(Debug, Clone)]
pub struct ReduceLrOnPlateau {
    monitor: Monitor,
    factor: f64,
    patience: usize,
    cooldown: usize,
    min_lr: f64,
    seen: Resumable<Seen>,
}

/// State over the epochs so far.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Seen {
    wait: usize,
    best: Option<f64>,
    cooldown_counter: usize,
}

impl ReduceLrOnPlateau {
    /// Monitors the number `monitor`. Keras' default is `val_loss`.
    pub fn new(monitor: impl Into<String>) -> Self {
        Self {
            monitor: Monitor::new(NAME, monitor).with_min_delta(1e-4),
            factor: 0.1,
            patience: 10,
            cooldown: 0,
            min_lr: 0.0,
            seen: Resumable::default(),
        }
    }

    /// Sets the factor of the learning rate. Default: 0.1.
    #[must_use]
    pub fn with_factor(mut self, factor: f64) -> Self {
        self.factor = factor;
        self
    }

    /// Sets the epochs without improvement after which the rate is lowered. Default: 10.
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

    /// Sets the smallest change that counts as an improvement. Default: 0.0001.
    #[must_use]
    pub fn with_min_delta(mut self, min_delta: f64) -> Self {
        self.monitor = self.monitor.with_min_delta(min_delta);
        self
    }

    /// Sets the number of epochs after a reduction that are not counted. Default: 0.
    #[must_use]
    pub fn with_cooldown(mut self, cooldown: usize) -> Self {
        self.cooldown = cooldown;
        self
    }

    /// Sets the lowest learning rate. Default: 0.
    #[must_use]
    pub fn with_min_lr(mut self, min_lr: f64) -> Self {
        self.min_lr = min_lr;
        self
    }

    fn validate(&self) -> Result<(), TaskError> {
        self.monitor.validate()?;
        check_fraction(NAME, "factor", self.factor)?;
        let valid = self.min_lr.is_finite() && self.min_lr >= 0.0;
        check(valid, NAME, "min_lr", "a finite number that is not negative", self.min_lr)
    }

    fn lower(&mut self, trainer: &mut Trainer<'_>) -> Result<(), TaskError> {
        let old = trainer.model().learning_rate();
        if old > self.min_lr {
            trainer.model_mut().set_learning_rate((old * self.factor).max(self.min_lr))?;
            self.seen.cooldown_counter = self.cooldown;
            self.seen.wait = 0;
        }
        Ok(())
    }
}

impl Callback for ReduceLrOnPlateau {
    fn name(&self) -> &str {
        NAME
    }

    fn on_train_begin(&mut self, trainer: &mut Trainer<'_>) -> Result<(), BoxError> {
        self.validate()?;
        // A rate of a schedule cannot be set: fail now rather than at the first plateau.
        let learning_rate = trainer.model().learning_rate();
        trainer.model_mut().set_learning_rate(learning_rate)?;
        self.seen.begin();
        Ok(())
    }

    fn on_epoch_end(
        &mut self,
        _epoch: usize,
        logs: &mut Logs,
        trainer: &mut Trainer<'_>,
    ) -> Result<(), BoxError> {
        logs.set("learning_rate", trainer.model().learning_rate());
        let Some(value) = self.monitor.observe(logs, trainer)? else { return Ok(()) };
        if self.seen.cooldown_counter > 0 {
            self.seen.cooldown_counter -= 1;
            self.seen.wait = 0;
        }
        if self.monitor.improved(value, self.seen.best)? {
            self.seen.best = Some(value);
            self.seen.wait = 0;
        } else if self.seen.cooldown_counter == 0 {
            self.seen.wait += 1;
            if self.seen.wait >= self.patience {
                self.lower(trainer)?;
            }
        }
        Ok(())
    }

    fn state(&self) -> CallbackState {
        self.seen.to_state()
    }

    fn restore(&mut self, state: CallbackState) -> Result<(), BoxError> {
        self.seen.restore(state.json)
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::testing::model;
    use crate::training::callbacks::testing::{epoch, trainer};

    fn callback() -> ReduceLrOnPlateau {
        ReduceLrOnPlateau::new("loss").with_factor(0.5).with_patience(2)
    }

    /// Learning rate after every epoch, 1 at the start.
    fn rates(callback: &mut ReduceLrOnPlateau, losses: &[f64]) -> Vec<f64> {
        let mut model = model();
        let mut trainer = trainer(&mut model);
        trainer.model_mut().set_learning_rate(1.0).unwrap();
        callback.on_train_begin(&mut trainer).unwrap();
        let mut rate_behind = |&loss: &f64| {
            epoch(callback, &mut trainer, 0, &[("loss", loss)]).unwrap();
            trainer.model().learning_rate()
        };
        losses.iter().map(&mut rate_behind).collect()
    }

    #[test]
    fn a_plateau_lowers_the_rate() {
        assert_eq!(
            rates(&mut callback(), &[3.0, 3.0, 2.0, 2.0, 2.0, 2.0, 2.0]),
            [1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.25]
        );
        let mut fine = callback().with_min_delta(0.0);
        assert_eq!(rates(&mut fine, &[1.0, 0.99999, 0.99998, 0.99997]), [1.0; 4]);
        let coarse = rates(&mut callback(), &[1.0, 0.99999, 0.99998, 0.99997]);
        assert_eq!(coarse, [1.0, 1.0, 0.5, 0.5], "less than 0.0001 is no improvement");
    }

    #[test]
    fn nothing_is_counted_while_it_cools_down() {
        let mut cooling = callback().with_cooldown(3);
        assert_eq!(
            rates(&mut cooling, &[2.0; 9]),
            [1.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25],
            "two epochs cool, the third counts as the first of two"
        );
    }

    #[test]
    fn there_is_a_lowest_rate() {
        let mut bounded = callback().with_patience(1).with_min_lr(0.4);
        assert_eq!(rates(&mut bounded, &[2.0; 4]), [1.0, 0.5, 0.4, 0.4]);
    }

    #[test]
    fn the_logs_have_the_rate_of_the_epoch() {
        let mut model = model();
        let mut trainer = trainer(&mut model);
        trainer.model_mut().set_learning_rate(1.0).unwrap();
        let mut callback = callback().with_patience(1);
        callback.on_train_begin(&mut trainer).unwrap();
        let logs = [(); 3].map(|()| epoch(&mut callback, &mut trainer, 0, &[("loss", 1.0)]));
        let logs = logs.map(|logs| logs.unwrap().get("learning_rate").unwrap());
        assert_eq!(logs, [1.0, 1.0, 0.5]);
    }

    #[test]
    fn a_resumed_training_goes_on_counting() {
        let new = || callback().with_cooldown(3);
        let unbroken = rates(&mut new(), &[2.0; 9]);
        for split in 1..9 {
            let mut model = model();
            let mut trainer = trainer(&mut model);
            trainer.model_mut().set_learning_rate(1.0).unwrap();
            let mut callback = new();
            callback.on_train_begin(&mut trainer).unwrap();
            let mut found = Vec::new();
            for number in 0..9 {
                if number == split {
                    let state = callback.state();
                    callback = new();
                    callback.restore(state).unwrap();
                    callback.on_train_begin(&mut trainer).unwrap();
                }
                epoch(&mut callback, &mut trainer, number, &[("loss", 2.0)]).unwrap();
                found.push(trainer.model().learning_rate());
            }
            assert_eq!(found, unbroken, "resumed before epoch {split}");
        }
    }

    #[test]
    fn mistakes_are_refused_before_the_first_epoch() {
        let mut model = model();
        let mut trainer = trainer(&mut model);
        for mut bad in [callback().with_factor(1.0), callback().with_min_lr(f64::NAN)] {
            assert!(bad.on_train_begin(&mut trainer).is_err());
        }
    }
}
