//! Monitored number, and the direction of its improvement.

use serde::{Deserialize, Serialize};

use crate::arguments::invalid;
use crate::error::TaskError;
use crate::training::logs::Logs;
use crate::training::trainer::Trainer;

/// Direction in which a number improves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MonitorMode {
    /// Determined by the name: losses and perplexities improve downwards, accuracies upwards.
    #[default]
    Auto,
    /// Smaller is better.
    Min,
    /// Larger is better.
    Max,
}

/// Monitors a number of the logs (`keras/src/callbacks/monitor_callback.py`).
///
/// ```
/// use gpt2_task::callbacks::Monitor;
/// use gpt2_task::Logs;
///
/// let monitor = Monitor::new("EarlyStopping", "val_loss").with_min_delta(0.1);
/// let mut logs = Logs::default();
/// logs.set("val_loss", 2.95);
/// let value = monitor.value(&logs)?;
/// assert!(monitor.improved(value, None)?);
/// assert!(!monitor.improved(value, Some(3.0))?, "not by more than 0.1");
/// # Ok::<(), gpt2_task::TaskError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Monitor {
    owner: String,
    name: String,
    mode: MonitorMode,
    min_delta: f64,
}

impl Monitor {
    /// Monitors the number `name`. `owner` is the name of the callback in errors.
    pub fn new(owner: impl Into<String>, name: impl Into<String>) -> Self {
        let (owner, name) = (owner.into(), name.into());
        Self { owner, name, mode: MonitorMode::Auto, min_delta: 0.0 }
    }

    /// Sets the direction of improvement. Default: [`MonitorMode::Auto`].
    #[must_use]
    pub fn with_mode(mut self, mode: MonitorMode) -> Self {
        self.mode = mode;
        self
    }

    /// Sets the smallest change that counts as an improvement. Its sign does not matter. Default:
    /// 0.
    #[must_use]
    pub fn with_min_delta(mut self, min_delta: f64) -> Self {
        self.min_delta = min_delta.abs();
        self
    }

    /// Name of the monitored number.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Checks the arguments, before a training starts.
    ///
    /// # Errors
    ///
    /// [`TaskError::InvalidTrainingArgument`] if the mode is [`MonitorMode::Auto`] and the name
    /// does not determine the direction, or if `min_delta` is not finite.
    pub fn validate(&self) -> Result<(), TaskError> {
        if !self.min_delta.is_finite() {
            return Err(self.invalid("min_delta", "finite", &self.min_delta.to_string()));
        }
        self.less_is_better().map(|_| ())
    }

    /// Monitored number of an epoch.
    ///
    /// # Errors
    ///
    /// [`TaskError::InvalidTrainingArgument`], with the available names, if the logs lack the
    /// number. (Keras warns and continues.)
    pub fn value(&self, logs: &Logs) -> Result<f64, TaskError> {
        logs.get(&self.name).ok_or_else(|| {
            let names: Vec<String> = logs.iter().map(|(name, _)| format!("`{name}`")).collect();
            let expected = format!("one of the epoch's numbers, {}", names.join(", "));
            self.invalid("monitor", &expected, &format!("`{}`", self.name))
        })
    }

    /// Monitored number of an epoch. None if the number comes from validation and this epoch has no
    /// validation.
    ///
    /// # Errors
    ///
    /// Those of [`value`](Self::value).
    pub fn observe(&self, logs: &Logs, trainer: &Trainer<'_>) -> Result<Option<f64>, TaskError> {
        let left_out = self.name.starts_with("val_") && trainer.leaves_validation_out();
        if left_out { Ok(None) } else { self.value(logs).map(Some) }
    }

    /// Whether a number is better than a reference by more than `min_delta`.
    ///
    /// Without a reference, every number but NaN is better. (Keras accepts NaN as the first number,
    /// and then never improves on it.)
    ///
    /// # Errors
    ///
    /// Those of [`validate`](Self::validate).
    pub fn improved(&self, value: f64, reference: Option<f64>) -> Result<bool, TaskError> {
        let less_is_better = self.less_is_better()?;
        let Some(reference) = reference else { return Ok(!value.is_nan()) };
        Ok(if less_is_better {
            value + self.min_delta < reference
        } else {
            value - self.min_delta > reference
        })
    }

    fn less_is_better(&self) -> Result<bool, TaskError> {
        let metric = self.name.strip_prefix("val_").unwrap_or(&self.name);
        match self.mode {
            MonitorMode::Min => Ok(true),
            MonitorMode::Max => Ok(false),
            MonitorMode::Auto if matches!(metric, "loss" | "perplexity") => Ok(true),
            MonitorMode::Auto if metric == "acc" || metric.ends_with("accuracy") => Ok(false),
            MonitorMode::Auto => {
                let expected = format!("`Min` or `Max` for `{}`", self.name);
                Err(self.invalid("mode", &expected, "`Auto`"))
            }
        }
    }

    fn invalid(&self, argument: &'static str, expected: &str, found: &str) -> TaskError {
        invalid(&self.owner, argument, expected, found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_says_which_way_is_better() {
        let improved =
            |name: &str, value: f64| Monitor::new("test", name).improved(value, Some(0.5)).unwrap();
        for name in ["loss", "val_loss", "perplexity", "val_perplexity"] {
            assert!(improved(name, 0.4) && !improved(name, 0.5) && !improved(name, 0.6), "{name}");
        }
        for name in ["acc", "accuracy", "val_sparse_categorical_accuracy"] {
            assert!(improved(name, 0.6) && !improved(name, 0.5) && !improved(name, 0.4), "{name}");
        }
        let unknown = Monitor::new("EarlyStopping", "val_bleu");
        assert_eq!(
            unknown.validate().unwrap_err().to_string(),
            "`EarlyStopping`: `mode` must be `Min` or `Max` for `val_bleu`, found `Auto`"
        );
        let unknown = unknown.with_mode(MonitorMode::Max);
        assert!(unknown.validate().is_ok() && unknown.improved(2.0, Some(1.0)).unwrap());
        let against = Monitor::new("test", "loss").with_mode(MonitorMode::Max);
        assert!(against.improved(2.0, Some(1.0)).unwrap(), "the mode is stronger than the name");
    }

    #[test]
    fn small_changes_do_not_count() {
        for (name, better, too_little) in [("loss", 0.5, 0.875), ("accuracy", 1.5, 1.125)] {
            let monitor = Monitor::new("test", name).with_min_delta(-0.25);
            assert!(monitor.improved(better, Some(1.0)).unwrap(), "{name}");
            assert!(!monitor.improved(too_little, Some(1.0)).unwrap(), "{name}");
        }
        assert!(Monitor::new("test", "loss").with_min_delta(f64::NAN).validate().is_err());
    }

    #[test]
    fn nan_is_never_better() {
        let monitor = Monitor::new("test", "loss");
        assert!(!monitor.improved(f64::NAN, None).unwrap());
        assert!(!monitor.improved(f64::NAN, Some(1.0)).unwrap());
        assert!(monitor.improved(1.0, None).unwrap());
    }

    #[test]
    fn a_number_that_is_missing_is_an_error_with_those_that_are_not() {
        let mut logs = Logs::default();
        logs.set("loss", 1.0);
        logs.set("accuracy", 0.5);
        let error = Monitor::new("EarlyStopping", "val_loss").value(&logs).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`EarlyStopping`: `monitor` must be one of the epoch's numbers, `loss`, `accuracy`, found `val_loss`"
        );
    }
}
