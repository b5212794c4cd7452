//! Order of batches: the examples of each training step.

use std::iter::Peekable;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::dataset::{BatchIterator, Dataset, TrainingData};
use crate::error::TaskError;
use crate::training_batch::TrainingBatch;

/// Rules by which data are divided into batches and epochs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BatchPlan {
    pub(crate) batch_size: usize,
    /// Batches in an epoch. None: until the data end.
    pub(crate) steps: Option<usize>,
    /// Whether data that end before `steps` batches start again.
    pub(crate) repeat: bool,
    /// Seed of the order. None: the order of the data.
    pub(crate) seed: Option<u64>,
}

/// Batches of a training, from any epoch and batch on.
pub(crate) struct Batches<'a> {
    data: TrainingData<'a>,
    plan: BatchPlan,
    /// Pass over the dataset for which `order` is valid.
    pass: Option<usize>,
    order: Vec<usize>,
    /// Iterator over streamed data, and the number of its next batch.
    stream: Option<(Peekable<BatchIterator<'a>>, usize)>,
}

impl<'a> Batches<'a> {
    pub(crate) fn new(data: TrainingData<'a>, plan: BatchPlan) -> Self {
        Self { data, plan, pass: None, order: Vec::new(), stream: None }
    }

    /// Sets the seed of the order, if the data are shuffled.
    pub(crate) fn set_seed(&mut self, seed: u64) {
        self.plan.seed = self.plan.seed.map(|_| seed);
        self.pass = None;
    }

    /// Batches in an epoch. None if the number is not known in advance.
    pub(crate) fn steps_per_epoch(&self) -> Option<usize> {
        match (&self.data, self.plan.steps) {
            (_, Some(steps)) => Some(steps),
            (TrainingData::Dataset(dataset), None) => {
                Some(dataset.len().div_ceil(self.plan.batch_size))
            }
            _ => None,
        }
    }

    /// Batch of an epoch, both counted from 0. None after the end of the epoch.
    pub(crate) fn get(
        &mut self,
        epoch: usize,
        batch: usize,
    ) -> Result<Option<TrainingBatch>, TaskError> {
        if self.plan.steps.is_some_and(|steps| batch >= steps) {
            return Ok(None);
        }
        match self.data.clone() {
            TrainingData::Dataset(dataset) => self.of_dataset(&*dataset, epoch, batch),
            TrainingData::Batches(start) => self.of_stream(&*start, epoch, batch),
            TrainingData::Texts(_) | TrainingData::TextStream(_) => {
                unreachable!("texts are turned into a dataset or batches first")
            }
        }
    }

    fn of_dataset(
        &mut self,
        dataset: &dyn Dataset,
        epoch: usize,
        batch: usize,
    ) -> Result<Option<TrainingBatch>, TaskError> {
        let per_pass = dataset.len().div_ceil(self.plan.batch_size);
        if per_pass == 0 {
            return Ok(None);
        }
        // With a number of steps, an epoch continues where the last one ended.
        let (pass, batch) = match self.plan.steps {
            Some(steps) => {
                let all = epoch.saturating_mul(steps).saturating_add(batch);
                if all >= per_pass && !self.plan.repeat {
                    return Ok(None);
                }
                (all / per_pass, all % per_pass)
            }
            None if batch >= per_pass => return Ok(None),
            None => (epoch, batch),
        };
        if self.pass != Some(pass) {
            self.order = order(dataset.len(), self.plan.seed, pass);
            self.pass = Some(pass);
        }
        let start = batch * self.plan.batch_size;
        let end = (start + self.plan.batch_size).min(dataset.len());
        dataset.batch(&self.order[start..end]).map(Some)
    }

    fn of_stream(
        &mut self,
        start: &(dyn Fn() -> BatchIterator<'a> + 'a),
        epoch: usize,
        batch: usize,
    ) -> Result<Option<TrainingBatch>, TaskError> {
        let all = |steps: usize| epoch.saturating_mul(steps).saturating_add(batch);
        let wanted = self.plan.steps.map_or(batch, all);
        let restart = match &self.stream {
            None => true,
            Some((_, next)) => *next != wanted,
        };
        if restart {
            self.stream = Some((start().peekable(), 0));
        }
        let Some((stream, next)) = &mut self.stream else { return Ok(None) };
        loop {
            if stream.peek().is_none() && self.plan.steps.is_some() && self.plan.repeat {
                // Data that end before their epoch start again.
                *stream = start().peekable();
                if stream.peek().is_none() {
                    return Ok(None);
                }
            }
            let Some(found) = stream.next() else { return Ok(None) };
            *next += 1;
            if *next > wanted {
                return found.map(Some);
            }
            found?;
        }
    }
}

/// Order of examples in a pass over the data. Equal for equal seeds and passes.
fn order(examples: usize, seed: Option<u64>, pass: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..examples).collect();
    if let Some(seed) = seed {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(pass as u64);
        order.shuffle(&mut rng);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token_batch::TokenBatch;

    fn batch(ids: &[u32]) -> TrainingBatch {
        let rows: Vec<Vec<u32>> = ids.iter().map(|&id| vec![id]).collect();
        TrainingBatch::new(TokenBatch::unpadded(rows.clone()).unwrap(), rows).unwrap()
    }

    /// First ids of the rows in every batch of the first epochs.
    fn epochs(data: TrainingData<'_>, plan: BatchPlan, epochs: usize) -> Vec<Vec<Vec<u32>>> {
        let mut batches = Batches::new(data, plan);
        let mut epoch_of = |epoch| {
            let mut found = Vec::new();
            while let Some(batch) = batches.get(epoch, found.len()).unwrap() {
                found.push(batch.y.concat());
            }
            found
        };
        (0..epochs).map(&mut epoch_of).collect()
    }

    fn plan(steps: Option<usize>, seed: Option<u64>) -> BatchPlan {
        BatchPlan { batch_size: 2, steps, repeat: true, seed }
    }

    fn stream() -> TrainingData<'static> {
        TrainingData::batches(|| (0..3).map(|id| Ok(batch(&[id]))))
    }

    #[test]
    fn examples_come_in_order_and_the_last_batch_is_smaller() {
        let found = epochs(batch(&[0, 1, 2, 3, 4]).into(), plan(None, None), 2);
        assert_eq!(found, vec![vec![vec![0, 1], vec![2, 3], vec![4]]; 2]);
    }

    #[test]
    fn a_seed_gives_every_epoch_another_order_of_all_examples() {
        let ids: Vec<u32> = (0..20).collect();
        let found = epochs(batch(&ids).into(), plan(None, Some(1)), 2);
        let flat: Vec<Vec<u32>> = found.iter().map(|epoch| epoch.concat()).collect();
        assert_ne!(flat[0], flat[1]);
        assert_ne!(flat[0], ids);
        assert_ne!(flat[0], epochs(batch(&ids).into(), plan(None, Some(2)), 1)[0].concat());
        for mut epoch in flat {
            epoch.sort_unstable();
            assert_eq!(epoch, ids);
        }
    }

    #[test]
    fn epochs_of_some_steps_go_on_where_the_last_one_ended() {
        let found = epochs(batch(&[0, 1, 2, 3, 4]).into(), plan(Some(2), None), 3);
        let expected = [[vec![0, 1], vec![2, 3]], [vec![4], vec![0, 1]], [vec![2, 3], vec![4]]];
        assert_eq!(found, expected);
        let found = epochs(stream(), plan(Some(2), None), 3);
        assert_eq!(found, [[[0], [1]], [[2], [0]], [[1], [2]]]);
    }

    #[test]
    fn an_evaluation_looks_at_nothing_twice() {
        let plan = BatchPlan { repeat: false, ..plan(Some(5), None) };
        let found = epochs(batch(&[0, 1, 2, 3, 4]).into(), plan, 1);
        assert_eq!(found, [[vec![0, 1], vec![2, 3], vec![4]]]);
        assert_eq!(epochs(stream(), plan, 1), [[[0], [1], [2]]]);
    }

    #[test]
    fn an_iterator_begins_anew_in_every_epoch() {
        assert_eq!(epochs(stream(), plan(None, None), 2), [[[0], [1], [2]], [[0], [1], [2]]]);
        let nothing = TrainingData::batches(|| []);
        assert_eq!(epochs(nothing.clone(), plan(None, None), 1), [[[0u32; 1]; 0]]);
        assert_eq!(epochs(nothing, plan(Some(2), None), 1), [[[0u32; 1]; 0]]);
    }

    #[test]
    fn a_training_can_begin_at_any_batch() {
        let ids: Vec<u32> = (0..9).collect();
        for steps in [None, Some(3)] {
            for data in [TrainingData::from(batch(&ids)), stream()] {
                let plan = plan(steps, Some(7));
                let all = epochs(data.clone(), plan, 3);
                for (epoch, batches) in all.iter().enumerate() {
                    for (number, expected) in batches.iter().enumerate() {
                        let mut resumed = Batches::new(data.clone(), plan);
                        let found = resumed.get(epoch, number).unwrap().unwrap();
                        assert_eq!(found.y.concat(), *expected);
                    }
                }
            }
        }
    }
}
