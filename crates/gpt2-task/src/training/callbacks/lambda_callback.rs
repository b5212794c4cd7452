//! Callback made of closures.

use super::callback::Callback;
use crate::error::BoxError;
use crate::training::logs::Logs;
use crate::training::trainer::Trainer;

type OnTrain<'a> = Box<dyn FnMut(&mut Trainer<'_>) -> Result<(), BoxError> + 'a>;
type OnEpochBegin<'a> = Box<dyn FnMut(usize, &mut Trainer<'_>) -> Result<(), BoxError> + 'a>;
type OnBatchEnd<'a> = Box<dyn FnMut(usize, &Logs, &mut Trainer<'_>) -> Result<(), BoxError> + 'a>;
type OnEpochEnd<'a> =
    Box<dyn FnMut(usize, &mut Logs, &mut Trainer<'_>) -> Result<(), BoxError> + 'a>;

/// Calls a closure for each event that has one (`keras/src/callbacks/lambda_callback.py`).
///
/// ```
/// use gpt2_task::callbacks::LambdaCallback;
///
/// let mut losses = Vec::new();
/// let callback = LambdaCallback::new().with_on_train_batch_end(|_batch, logs, trainer| {
///     let loss = logs.get("loss").ok_or("no loss")?;
///     losses.push(loss);
///     if loss < 0.1 {
///         trainer.stop_training();
///     }
///     Ok(())
/// });
/// ```
#[derive(Default)]
pub struct LambdaCallback<'a> {
    on_train_begin: Option<OnTrain<'a>>,
    on_epoch_begin: Option<OnEpochBegin<'a>>,
    on_train_batch_end: Option<OnBatchEnd<'a>>,
    on_epoch_end: Option<OnEpochEnd<'a>>,
    on_train_end: Option<OnTrain<'a>>,
}

impl<'a> LambdaCallback<'a> {
    /// Callback without closures.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the closure for [`Callback::on_train_begin`].
    #[must_use]
    pub fn with_on_train_begin(
        mut self,
        closure: impl FnMut(&mut Trainer<'_>) -> Result<(), BoxError> + 'a,
    ) -> Self {
        self.on_train_begin = Some(Box::new(closure));
        self
    }

    /// Sets the closure for [`Callback::on_epoch_begin`].
    #[must_use]
    pub fn with_on_epoch_begin(
        mut self,
        closure: impl FnMut(usize, &mut Trainer<'_>) -> Result<(), BoxError> + 'a,
    ) -> Self {
        self.on_epoch_begin = Some(Box::new(closure));
        self
    }

    /// Sets the closure for [`Callback::on_train_batch_end`].
    #[must_use]
    pub fn with_on_train_batch_end(
        mut self,
        closure: impl FnMut(usize, &Logs, &mut Trainer<'_>) -> Result<(), BoxError> + 'a,
    ) -> Self {
        self.on_train_batch_end = Some(Box::new(closure));
        self
    }

    /// Sets the closure for [`Callback::on_epoch_end`].
    #[must_use]
    pub fn with_on_epoch_end(
        mut self,
        closure: impl FnMut(usize, &mut Logs, &mut Trainer<'_>) -> Result<(), BoxError> + 'a,
    ) -> Self {
        self.on_epoch_end = Some(Box::new(closure));
        self
    }

    /// Sets the closure for [`Callback::on_train_end`].
    #[must_use]
    pub fn with_on_train_end(
        mut self,
        closure: impl FnMut(&mut Trainer<'_>) -> Result<(), BoxError> + 'a,
    ) -> Self {
        self.on_train_end = Some(Box::new(closure));
        self
    }
}

impl Callback for LambdaCallback<'_> {
    fn name(&self) -> &str {
        "LambdaCallback"
    }

    fn on_train_begin(&mut self, trainer: &mut Trainer<'_>) -> Result<(), BoxError> {
        self.on_train_begin.as_mut().map_or(Ok(()), |closure| closure(trainer))
    }

    fn on_epoch_begin(&mut self, epoch: usize, trainer: &mut Trainer<'_>) -> Result<(), BoxError> {
        self.on_epoch_begin.as_mut().map_or(Ok(()), |closure| closure(epoch, trainer))
    }

    fn on_train_batch_end(
        &mut self,
        batch: usize,
        logs: &Logs,
        trainer: &mut Trainer<'_>,
    ) -> Result<(), BoxError> {
        self.on_train_batch_end.as_mut().map_or(Ok(()), |closure| closure(batch, logs, trainer))
    }

    fn on_epoch_end(
        &mut self,
        epoch: usize,
        logs: &mut Logs,
        trainer: &mut Trainer<'_>,
    ) -> Result<(), BoxError> {
        self.on_epoch_end.as_mut().map_or(Ok(()), |closure| closure(epoch, logs, trainer))
    }

    fn on_train_end(&mut self, trainer: &mut Trainer<'_>) -> Result<(), BoxError> {
        self.on_train_end.as_mut().map_or(Ok(()), |closure| closure(trainer))
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::testing::model;
    use crate::training::callbacks::testing::{logs, trainer};

    fn run(callback: &mut dyn Callback, trainer: &mut Trainer<'_>) -> Result<Logs, BoxError> {
        let mut logs = logs(&[("loss", 1.0)]);
        callback.on_train_begin(trainer)?;
        callback.on_epoch_begin(3, trainer)?;
        callback.on_train_batch_end(5, &logs, trainer)?;
        callback.on_epoch_end(3, &mut logs, trainer)?;
        callback.on_train_end(trainer)?;
        Ok(logs)
    }

    #[test]
    fn every_event_calls_its_closure() {
        let events = RefCell::new(Vec::new());
        let event = |name: String| {
            events.borrow_mut().push(name);
            Ok(())
        };
        let mut callback = LambdaCallback::new()
            .with_on_train_begin(|_| event("train begin".into()))
            .with_on_epoch_begin(|epoch, _| event(format!("epoch {epoch} begin")))
            .with_on_train_batch_end(|batch, _, _| event(format!("batch {batch} end")))
            .with_on_epoch_end(|epoch, logs, trainer| {
                logs.set("new", 2.0);
                trainer.stop_training();
                event(format!("epoch {epoch} end"))
            })
            .with_on_train_end(|_| event("train end".into()));
        let mut model = model();
        let mut trainer = trainer(&mut model);
        let logs = run(&mut callback, &mut trainer).unwrap();
        assert_eq!(logs.get("new"), Some(2.0));
        assert!(trainer.stop);
        assert_eq!(
            *events.borrow(),
            ["train begin", "epoch 3 begin", "batch 5 end", "epoch 3 end", "train end"]
        );
    }

    #[test]
    fn an_error_ends_it_and_no_closure_does_nothing() {
        let mut model = model();
        let mut trainer = trainer(&mut model);
        assert!(run(&mut LambdaCallback::new(), &mut trainer).is_ok());
        let mut callback = LambdaCallback::new().with_on_epoch_begin(|_, _| Err("full".into()));
        assert_eq!(run(&mut callback, &mut trainer).unwrap_err().to_string(), "full");
    }
}
