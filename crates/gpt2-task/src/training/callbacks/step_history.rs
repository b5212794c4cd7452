//! Loss within the epochs, as a curve of bounded size.

use serde::{Deserialize, Serialize};

use super::callback::{Callback, CallbackState};
use super::resumable::Resumable;
use crate::error::BoxError;
use crate::training::history::number_or_nan;
use crate::training::logs::Logs;
use crate::training::trainer::Trainer;

/// Point of a curve: the mean of consecutive steps.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StepPoint {
    /// Last of the steps, from 1 over all epochs.
    pub step: u64,
    /// Epoch of that step, from 0.
    pub epoch: usize,
    /// Batch of that step in its epoch, from 0.
    pub batch: usize,
    /// Mean loss of the steps.
    #[serde(deserialize_with = "number_or_nan")]
    pub loss: f64,
    /// Learning rate after the last of the steps.
    pub learning_rate: f64,
}

/// Records the loss and the learning rate of the steps, with a limited number of points. When there
/// are more, pairs of points are merged.
///
/// The loss of a step is derived from the means over the epoch so far, assuming equal weights for
/// all batches. The last steps are missing until they fill a point.
///
/// ```
/// use gpt2_task::callbacks::StepHistory;
///
/// let steps = StepHistory::new();
/// assert!(steps.points().is_empty());
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct StepHistory {
    max_points: usize,
    recorded: Resumable<Recorded>,
    epoch: usize,
}

/// State that a resumed training continues from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Recorded {
    points: Vec<StepPoint>,
    /// Steps in a point.
    stride: u64,
    step: u64,
    /// Losses of the steps after the last point.
    pending: Sum,
    /// Losses of this epoch's batches.
    in_epoch: Sum,
    steps_per_epoch: usize,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Sum {
    #[serde(deserialize_with = "number_or_nan")]
    total: f64,
    count: u64,
}

impl Default for Recorded {
    fn default() -> Self {
        Self {
            points: Vec::new(),
            stride: 1,
            step: 0,
            pending: Sum::default(),
            in_epoch: Sum::default(),
            steps_per_epoch: 0,
        }
    }
}

impl Default for StepHistory {
    fn default() -> Self {
        Self { max_points: 1000, recorded: Resumable::default(), epoch: 0 }
    }
}

impl StepHistory {
    /// Recorder with at most 1000 points.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the maximum number of points, at least 2. Default: 1000.
    #[must_use]
    pub fn with_max_points(mut self, max_points: usize) -> Self {
        self.max_points = max_points.max(2);
        self
    }

    /// Points in order.
    pub fn points(&self) -> &[StepPoint] {
        &self.recorded.points
    }

    /// Batches in an epoch: the largest number so far, or the number that is known in advance.
    pub fn steps_per_epoch(&self) -> usize {
        self.recorded.steps_per_epoch
    }
}

impl Recorded {
    /// Loss of a batch, from the mean over the epoch up to and including it.
    fn loss_of_batch(&mut self, batch: usize, mean: f64) -> f64 {
        let count = batch as u64 + 1;
        let total = mean * count as f64;
        let before = std::mem::replace(&mut self.in_epoch, Sum { total, count });
        // Without the sum before this batch, the mean is the best estimate.
        if before.count + 1 == count { total - before.total } else { mean }
    }

    /// Merges pairs of points. A point without a partner becomes pending again.
    fn thin(&mut self) {
        if self.points.len() % 2 == 1 {
            let last = self.points.pop().expect("an odd number is not zero");
            self.pending.total += last.loss * self.stride as f64;
            self.pending.count += self.stride;
        }
        let pairs = self.points.chunks_exact(2);
        self.points = pairs
            .map(|pair| StepPoint { loss: (pair[0].loss + pair[1].loss) / 2.0, ..pair[1] })
            .collect();
        self.stride *= 2;
    }
}

impl Callback for StepHistory {
    fn name(&self) -> &str {
        "StepHistory"
    }

    fn on_train_begin(&mut self, _trainer: &mut Trainer<'_>) -> Result<(), BoxError> {
        self.recorded.begin();
        Ok(())
    }

    fn on_epoch_begin(&mut self, epoch: usize, trainer: &mut Trainer<'_>) -> Result<(), BoxError> {
        self.epoch = epoch;
        if trainer.first_batch() == 0 {
            self.recorded.in_epoch = Sum::default();
        }
        Ok(())
    }

    fn on_train_batch_end(
        &mut self,
        batch: usize,
        logs: &Logs,
        trainer: &mut Trainer<'_>,
    ) -> Result<(), BoxError> {
        let recorded = &mut *self.recorded;
        let known = trainer.steps_per_epoch().unwrap_or(0);
        recorded.steps_per_epoch = recorded.steps_per_epoch.max(known).max(batch + 1);
        recorded.step += 1;
        let Some(mean) = logs.get("loss") else { return Ok(()) };
        recorded.pending.total += recorded.loss_of_batch(batch, mean);
        recorded.pending.count += 1;
        if recorded.pending.count >= recorded.stride {
            let Sum { total, count } = std::mem::take(&mut recorded.pending);
            recorded.points.push(StepPoint {
                step: recorded.step,
                epoch: self.epoch,
                batch,
                loss: total / count as f64,
                learning_rate: trainer.model().learning_rate(),
            });
        }
        if recorded.points.len() > self.max_points {
            recorded.thin();
        }
        Ok(())
    }

    fn state(&self) -> CallbackState {
        self.recorded.to_state()
    }

    fn restore(&mut self, state: CallbackState) -> Result<(), BoxError> {
        self.recorded.restore(state.json)
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::testing::model;
    use crate::training::callbacks::testing::{logs, trainer};

    /// Runs the batches of an epoch with these losses, from batch `first` on.
    fn run(
        steps: &mut StepHistory,
        trainer: &mut Trainer<'_>,
        epoch: usize,
        first: usize,
        losses: &[f64],
    ) {
        trainer.first_batch = first;
        steps.on_epoch_begin(epoch, trainer).unwrap();
        for batch in first..losses.len() {
            let mean = losses[..=batch].iter().sum::<f64>() / (batch + 1) as f64;
            steps.on_train_batch_end(batch, &logs(&[("loss", mean)]), trainer).unwrap();
        }
    }

    fn losses(steps: &StepHistory) -> Vec<(u64, f64)> {
        steps.points().iter().map(|point| (point.step, point.loss)).collect()
    }

    #[test]
    fn every_step_is_a_point_while_there_is_room() {
        let mut model = model();
        let mut trainer = trainer(&mut model);
        let mut steps = StepHistory::new();
        steps.on_train_begin(&mut trainer).unwrap();
        run(&mut steps, &mut trainer, 0, 0, &[8.0, 4.0, 6.0, 2.0]);
        run(&mut steps, &mut trainer, 1, 0, &[3.0, 5.0]);
        assert_eq!(
            losses(&steps),
            [(1, 8.0), (2, 4.0), (3, 6.0), (4, 2.0), (5, 3.0), (6, 5.0)],
            "not the means over the epoch"
        );
        let last = steps.points()[5];
        assert_eq!((last.epoch, last.batch, steps.steps_per_epoch()), (1, 1, 4));
    }

    #[test]
    fn too_many_points_become_half_as_many() {
        let mut model = model();
        let mut trainer = trainer(&mut model);
        let mut steps = StepHistory::new().with_max_points(4);
        steps.on_train_begin(&mut trainer).unwrap();
        let all: Vec<f64> = (1..=11).map(f64::from).collect();
        run(&mut steps, &mut trainer, 0, 0, &all);
        // The fifth point exceeds the limit and waits for the next step.
        assert_eq!(losses(&steps), [(4, 2.5), (8, 6.5)]);
        run(&mut steps, &mut trainer, 1, 0, &[12.0]);
        assert_eq!(losses(&steps), [(4, 2.5), (8, 6.5), (12, 10.5)]);
    }

    #[test]
    fn a_resumed_training_has_the_curve_of_an_unbroken_one() {
        let all = [8.0, 4.0, 6.0, 2.0, 7.0, f64::NAN, 1.0];
        let mut model = model();
        let mut trainer = trainer(&mut model);
        let mut unbroken = StepHistory::new().with_max_points(2);
        unbroken.on_train_begin(&mut trainer).unwrap();
        run(&mut unbroken, &mut trainer, 0, 0, &all);
        for split in 1..all.len() {
            let mut first = StepHistory::new().with_max_points(2);
            run(&mut first, &mut trainer, 0, 0, &all[..split]);
            let mut second = StepHistory::new().with_max_points(2);
            second.restore(first.state()).unwrap();
            second.on_train_begin(&mut trainer).unwrap();
            run(&mut second, &mut trainer, 0, split, &all);
            assert_eq!(
                format!("{:?}", second.points()),
                format!("{:?}", unbroken.points()),
                "NaN is not equal to itself, but prints the same; resumed at {split}"
            );
        }
    }
}
