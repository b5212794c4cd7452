//! Loop of a training: epochs, batches, validation, callbacks, checkpoints
//! (`keras/src/backend/jax/trainer.py`).

use std::collections::BTreeMap;

use gpt2_tokenizer::TokenId;
use serde_json::{Value, json};

use super::batches::{BatchPlan, Batches};
use super::callbacks::callback::Callback;
use super::checkpoint::TrainingCheckpoint;
use super::dataset::TrainingData;
use super::fit_options::{Backup, FitOptions, ValidationFreq};
use super::history::History;
use super::logs::Logs;
use super::metrics::MetricSums;
use super::state::FitState;
use super::trainer::Trainer;
use crate::causal_lm::Gpt2CausalLm;
use crate::error::{BoxError, TaskError};
use crate::training_batch::TrainingBatch;

/// Validation data and their settings.
pub(super) struct Validation<'a> {
    pub(super) data: TrainingData<'a>,
    pub(super) plan: BatchPlan,
    pub(super) freq: ValidationFreq,
}

/// Running training.
pub(super) struct Run<'m, 'a> {
    trainer: Trainer<'m>,
    batches: Batches<'a>,
    validation: Option<Validation<'a>>,
    callbacks: Vec<&'a mut dyn Callback>,
    backup: Option<Backup<'a>>,
    class_weight: Option<BTreeMap<TokenId, f32>>,
    state: FitState,
    /// Settings that a resumed training must share.
    settings: Value,
}

impl<'m, 'a> Run<'m, 'a> {
    pub(super) fn new(
        model: &'m mut Gpt2CausalLm,
        data: TrainingData<'a>,
        validation: Option<Validation<'a>>,
        options: FitOptions<'a>,
    ) -> Result<Self, TaskError> {
        check_examples(&data, "training data")?;
        if let Some(validation) = &validation {
            check_examples(&validation.data, "validation data")?;
        }
        let settings = settings(model, &data, validation.as_ref(), &options);
        let plan = |seed: u64| BatchPlan {
            batch_size: options.batch_size,
            steps: options.steps_per_epoch,
            repeat: true,
            seed: options.shuffle.then_some(seed),
        };
        let seed = options.seed.unwrap_or_else(rand::random);
        let batches = Batches::new(data, plan(seed));
        let state = FitState { seed, epoch: options.initial_epoch, ..Default::default() };
        let trainer = Trainer {
            model,
            epochs: options.epochs,
            steps_per_epoch: batches.steps_per_epoch(),
            first_batch: 0,
            tokens: 0,
            stop: false,
            interrupted: false,
            validates: validation.is_some(),
            accepts_non_finite: false,
            leaves_validation_out: false,
        };
        Ok(Self {
            trainer,
            batches,
            validation,
            callbacks: options.callbacks,
            backup: options.backup,
            class_weight: options.class_weight,
            state,
            settings,
        })
    }

    /// Resumes from the store's checkpoint, if there is one.
    pub(super) fn resume(&mut self) -> Result<(), TaskError> {
        let Some(backup) = &mut self.backup else { return Ok(()) };
        let device = self.trainer.model.backbone().device();
        let loaded = backup.store.load(&device).map_err(TaskError::Checkpoint)?;
        let Some(checkpoint) = loaded else { return Ok(()) };
        let model = &mut *self.trainer.model;
        self.state = checkpoint.restore(model, &self.settings, &mut self.callbacks)?;
        self.batches.set_seed(self.state.seed);
        Ok(())
    }

    pub(super) fn run(mut self) -> Result<History, TaskError> {
        self.each_callback(|callback, trainer| callback.on_train_begin(trainer))?;
        let goes_on = |run: &Self| {
            run.state.epoch < run.trainer.epochs && !run.state.stopped && !run.trainer.stop
        };
        while goes_on(&self) {
            self.epoch()?;
        }
        if !self.state.history.epoch.is_empty() {
            self.trainer.model.finalize_weights();
        }
        self.each_callback(|callback, trainer| callback.on_train_end(trainer))?;
        if self.trainer.accepts_non_finite {
            return Ok(self.state.history);
        }
        self.trainer.check_weights()?;
        if let Some(backup) = &mut self.backup
            && backup.delete_checkpoint
        {
            backup.store.clear().map_err(TaskError::Checkpoint)?;
        }
        Ok(self.state.history)
    }

    fn epoch(&mut self) -> Result<(), TaskError> {
        let epoch = self.state.epoch;
        self.trainer.first_batch = self.state.batch;
        if self.state.batch == 0 {
            self.state.sums = MetricSums::default();
        }
        self.each_callback(|callback, trainer| callback.on_epoch_begin(epoch, trainer))?;
        while !self.trainer.stop {
            let Some(batch) = self.batches.get(epoch, self.state.batch)? else { break };
            self.batch(batch)?;
        }
        if self.state.batch == 0 {
            let nothing = TaskError::EmptyTrainingData { name: "training data" };
            return if self.trainer.stop { Ok(()) } else { Err(nothing) };
        }
        let mut logs = self.logs();
        let due = |validation: &&Validation<'_>| validation.freq.includes(epoch);
        let validation = self.validation.as_ref();
        self.trainer.leaves_validation_out = validation.is_some_and(|one| !due(&one));
        if let Some(validation) = validation.filter(due) {
            let model = &*self.trainer.model;
            let found = model.evaluate_batches(&validation.data, validation.plan, "val_")?;
            found.iter().for_each(|(name, value)| logs.set(name, value));
        }
        self.each_callback(|callback, trainer| callback.on_epoch_end(epoch, &mut logs, trainer))?;
        self.state.history.push(epoch, &logs);
        self.state.epoch += 1;
        self.state.batch = 0;
        self.state.sums = MetricSums::default();
        self.state.stopped = self.trainer.stop;
        self.save()?;
        if self.state.epoch < self.trainer.epochs { self.check_interruption() } else { Ok(()) }
    }

    /// Ends an interrupted training with an error, unless it is complete.
    fn check_interruption(&self) -> Result<(), TaskError> {
        if !self.trainer.interrupted || self.trainer.stop {
            return Ok(());
        }
        Err(TaskError::Interrupted { step: self.trainer.model.optimizer().iterations() })
    }

    fn batch(&mut self, mut batch: TrainingBatch) -> Result<(), TaskError> {
        if let Some(class_weight) = &self.class_weight {
            for (weights, ids) in batch.sample_weight.iter_mut().zip(&batch.y) {
                for (weight, id) in weights.iter_mut().zip(ids) {
                    *weight *= class_weight.get(id).copied().unwrap_or(1.0);
                }
            }
        }
        let number = self.state.batch;
        let outcome = self.trainer.model.train_step(&batch, self.state.seed)?;
        self.state.sums.add(&outcome);
        self.state.batch += 1;
        let counted = outcome.weights.iter().filter(|&&weight| weight > 0.0).count();
        self.trainer.tokens += counted as u64;
        let logs = self.logs();
        self.each_callback(|callback, trainer| {
            callback.on_train_batch_end(number, &logs, trainer)
        })?;
        if !outcome.loss.is_finite() && !self.trainer.accepts_non_finite {
            let (epoch, loss) = (self.state.epoch, outcome.loss);
            return Err(TaskError::NonFiniteLoss { epoch, batch: number, loss });
        }
        let due = |backup: &Backup<'_>| {
            backup.save_freq.is_some_and(|batches| self.state.batch.is_multiple_of(batches))
        };
        let is_due = self.trainer.interrupted || self.backup.as_ref().is_some_and(due);
        if !self.trainer.stop && is_due {
            self.save()?;
        }
        self.check_interruption()
    }

    /// Loss and metrics of the epoch so far.
    fn logs(&self) -> Logs {
        self.state.sums.logs(&self.trainer.model.training_setup().weighted_metrics, "")
    }

    fn save(&mut self) -> Result<(), TaskError> {
        if self.backup.is_none() || self.trainer.accepts_non_finite {
            return Ok(());
        }
        self.trainer.check_weights()?;
        self.each_callback(|callback, trainer| callback.on_checkpoint(trainer))?;
        let Some(backup) = &mut self.backup else { return Ok(()) };
        let checkpoint = TrainingCheckpoint::of(
            self.trainer.model,
            &self.settings,
            &self.state,
            &self.callbacks,
        );
        backup.store.save(&checkpoint).map_err(TaskError::Checkpoint)
    }

    fn each_callback(
        &mut self,
        mut call: impl FnMut(&mut dyn Callback, &mut Trainer<'_>) -> Result<(), BoxError>,
    ) -> Result<(), TaskError> {
        for callback in &mut self.callbacks {
            call(&mut **callback, &mut self.trainer).map_err(|source| TaskError::Callback {
                name: callback.name().to_owned(),
                source,
            })?;
        }
        Ok(())
    }
}

/// Settings that a resumed training must share, under the names of the user's options.
fn settings(
    model: &Gpt2CausalLm,
    data: &TrainingData<'_>,
    validation: Option<&Validation<'_>>,
    options: &FitOptions<'_>,
) -> Value {
    let setup = model.training_setup();
    let fingerprint = |data: &TrainingData<'_>| match data {
        TrainingData::Dataset(dataset) => dataset.fingerprint(),
        _ => "batches of an iterator".to_owned(),
    };
    let validation = validation.map(|validation| {
        json!([fingerprint(&validation.data), validation.plan.batch_size, validation.plan.steps])
    });
    json!({
        "model": model.backbone().config(),
        "trained parameters": model.backbone().trainable_parameters(),
        "LoRA rank": model.backbone().lora_rank(),
        "initial_epoch": options.initial_epoch,
        "class_weight": options.class_weight,
        "batch_size": options.batch_size,
        "steps_per_epoch": options.steps_per_epoch,
        "shuffle": options.shuffle,
        "training data": fingerprint(data),
        "validation data": validation,
        "seed": options.seed,
        "optimizer": setup.optimizer.state(),
        "loss": setup.loss,
        "weighted_metrics": setup.weighted_metrics,
        "precision": setup.precision,
    })
}

/// Rejects an empty dataset. Iterators are not checked: their length is unknown.
fn check_examples(data: &TrainingData<'_>, name: &'static str) -> Result<(), TaskError> {
    match data {
        TrainingData::Dataset(dataset) if dataset.is_empty() => {
            Err(TaskError::EmptyTrainingData { name })
        }
        _ => Ok(()),
    }
}
