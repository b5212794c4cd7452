//! The loop of a training: epochs, batches, validation, callbacks, checkpoints
//! (`keras/src/backend/jax/trainer.py`).

use std::collections::BTreeMap;
use std::sync::Arc;

use burn::tensor::Tensor;
use gpt2_backbone::{read_f32, visit_tensors};
use gpt2_tokenizer::TokenId;
use serde_json::{Value, json};

use super::batches::{BatchPlan, Batches};
use super::callbacks::callback::Callback;
use super::checkpoint::TrainingCheckpoint;
use super::dataset::{Subset, TrainingData};
use super::fit_options::{Backup, FitOptions, ValidationFreq};
use super::history::History;
use super::logs::Logs;
use super::metrics::MetricSums;
use super::state::FitState;
use super::trainer::Trainer;
use crate::arguments::{check_count, invalid};
use crate::causal_lm::Gpt2CausalLm;
use crate::error::{BoxError, TaskError};
use crate::training_batch::TrainingBatch;

/// What is evaluated after an epoch.
struct Validation<'a> {
    data: TrainingData<'a>,
    plan: BatchPlan,
    freq: ValidationFreq,
}

impl Gpt2CausalLm {
    /// Trains on texts, token ids or batches: Keras' `fit`.
    ///
    /// ```
    /// # use gpt2_task::testing::model;
    /// use gpt2_task::optimizers::{Adam, Optimizer};
    /// use gpt2_task::{CompileOptions, FitOptions};
    ///
    /// let mut model = model();
    /// let adam = Optimizer::new(Adam::default(), 1e-2);
    /// model.compile(CompileOptions::new().with_optimizer(adam))?;
    /// let texts = [" airplane at airport", " a plane", " the port"];
    /// let options = FitOptions::new().with_epochs(5).with_batch_size(2).with_seed(1);
    /// let history = model.fit(&texts, options)?;
    /// let loss = history.get("loss").unwrap();
    /// assert!(loss[4] < loss[0]);
    /// # Ok::<(), gpt2_task::TaskError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`TaskError::InvalidTrainingArgument`] for an option out of range,
    /// [`TaskError::NoPreprocessor`] for text without a preprocessor,
    /// [`TaskError::EmptyTrainingData`], [`TaskError::NothingToTrain`],
    /// [`TaskError::NonFiniteLoss`], [`TaskError::ResumeMismatch`],
    /// [`TaskError::Callback`], and those of [`train_on_batch`](Self::train_on_batch).
    pub fn fit<'a>(
        &mut self,
        data: impl Into<TrainingData<'a>>,
        options: FitOptions<'a>,
    ) -> Result<History, TaskError> {
        check(&options)?;
        let data = data.into().resolve(self.preprocessor(), "fit")?;
        let (data, validation) = self.split(data, &options)?;
        let mut run = Run::new(self, data, validation, options)?;
        run.resume()?;
        run.run()
    }

    /// Loss and metrics on texts, token ids or batches, without dropout: Keras' `evaluate`.
    ///
    /// `batch_size` is 32 in Keras; `steps` is the number of batches that are looked at, all
    /// without it.
    ///
    /// # Errors
    ///
    /// As [`fit`](Self::fit).
    pub fn evaluate<'a>(
        &self,
        data: impl Into<TrainingData<'a>>,
        batch_size: usize,
        steps: Option<usize>,
    ) -> Result<Logs, TaskError> {
        check_count("evaluate", "batch_size", batch_size)?;
        check_count("evaluate", "steps", steps.unwrap_or(1))?;
        let data = data.into().resolve(self.preprocessor(), "evaluate")?;
        self.evaluate_batches(&data, BatchPlan { batch_size, steps, repeat: false, seed: None }, "")
    }

    fn evaluate_batches(
        &self,
        data: &TrainingData<'_>,
        plan: BatchPlan,
        prefix: &str,
    ) -> Result<Logs, TaskError> {
        let mut batches = Batches::new(data.clone(), plan);
        let mut sums = MetricSums::default();
        let mut number = 0;
        while let Some(batch) = batches.get(0, number)? {
            sums.add(&self.test_step(&batch)?);
            number += 1;
        }
        if number == 0 {
            let name = if prefix.is_empty() { "data" } else { "validation data" };
            return Err(TaskError::EmptyTrainingData { name });
        }
        Ok(sums.logs(&self.training_setup().weighted_metrics, prefix))
    }

    /// What is trained on, and what is validated on.
    fn split<'a>(
        &self,
        data: TrainingData<'a>,
        options: &FitOptions<'a>,
    ) -> Result<(TrainingData<'a>, Option<Validation<'a>>), TaskError> {
        let validation = |data| Validation {
            data,
            plan: BatchPlan {
                batch_size: options.validation_batch_size.unwrap_or(options.batch_size),
                steps: options.validation_steps,
                repeat: false,
                seed: None,
            },
            freq: options.validation_freq.clone(),
        };
        if let Some(given) = &options.validation_data {
            let resolved = given.clone().resolve(self.preprocessor(), "fit")?;
            return Ok((data, Some(validation(resolved))));
        }
        if options.validation_split == 0.0 {
            return Ok((data, None));
        }
        let TrainingData::Dataset(whole) = data else {
            let expected = "0 for batches from an iterator, which cannot be split";
            return Err(invalid("fit", "validation_split", expected, options.validation_split));
        };
        let examples = whole.len();
        let first = (examples as f64 * (1.0 - options.validation_split)).floor() as usize;
        if first == 0 || first == examples {
            let expected = format!("such that both parts of {examples} examples have some");
            return Err(invalid("fit", "validation_split", &expected, options.validation_split));
        }
        let part = |start, end| {
            TrainingData::Dataset(Arc::new(Subset { whole: whole.clone(), start, end }))
        };
        Ok((part(0, first), Some(validation(part(first, examples)))))
    }
}

/// A training under way.
struct Run<'m, 'a> {
    trainer: Trainer<'m>,
    batches: Batches<'a>,
    validation: Option<Validation<'a>>,
    callbacks: Vec<&'a mut dyn Callback>,
    backup: Option<Backup<'a>>,
    class_weight: Option<BTreeMap<TokenId, f32>>,
    state: FitState,
    /// What a resumed training must have too.
    settings: Value,
}

impl<'m, 'a> Run<'m, 'a> {
    fn new(
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

    /// Goes on from the store's checkpoint, if there is one.
    fn resume(&mut self) -> Result<(), TaskError> {
        let Some(backup) = &mut self.backup else { return Ok(()) };
        let device = self.trainer.model.backbone().device();
        let loaded = backup.store.load(&device).map_err(TaskError::Checkpoint)?;
        let Some(checkpoint) = loaded else { return Ok(()) };
        let model = &mut *self.trainer.model;
        self.state = checkpoint.restore(model, &self.settings, &mut self.callbacks)?;
        self.batches.set_seed(self.state.seed);
        Ok(())
    }

    fn run(mut self) -> Result<History, TaskError> {
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
        self.check_weights()?;
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
        self.save()
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
        if !self.trainer.stop && self.backup.as_ref().is_some_and(due) {
            self.save()?;
        }
        Ok(())
    }

    /// Loss and metrics of the epoch so far.
    fn logs(&self) -> Logs {
        self.state.sums.logs(&self.trainer.model.training_setup().weighted_metrics, "")
    }

    fn save(&mut self) -> Result<(), TaskError> {
        if self.backup.is_none() || self.trainer.accepts_non_finite {
            return Ok(());
        }
        self.check_weights()?;
        let Some(backup) = &mut self.backup else { return Ok(()) };
        let checkpoint = TrainingCheckpoint::of(
            self.trainer.model,
            &self.settings,
            &self.state,
            &self.callbacks,
        );
        backup.store.save(&checkpoint).map_err(TaskError::Checkpoint)
    }

    /// Refuses weights that the last update has made something else than numbers. The loss cannot
    /// tell: it is that of the weights before.
    fn check_weights(&self) -> Result<(), TaskError> {
        let mut sums = Vec::new();
        visit_tensors(self.trainer.model.backbone(), |_, parameter| {
            sums.push(parameter.values.abs().sum());
        });
        let sum = read_f32(Tensor::cat(sums, 0).sum())?;
        if sum.iter().all(|sum| sum.is_finite()) {
            return Ok(());
        }
        Err(TaskError::NonFiniteWeights { step: self.trainer.model.optimizer().iterations() })
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

/// What must not change when a training is resumed, by the name under which the user knows it.
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

fn check(options: &FitOptions<'_>) -> Result<(), TaskError> {
    check_count("fit", "batch_size", options.batch_size)?;
    check_count("fit", "steps_per_epoch", options.steps_per_epoch.unwrap_or(1))?;
    check_count("fit", "validation_steps", options.validation_steps.unwrap_or(1))?;
    check_count("fit", "validation_batch_size", options.validation_batch_size.unwrap_or(1))?;
    if let ValidationFreq::Every(epochs) = options.validation_freq {
        check_count("fit", "validation_freq", epochs)?;
    }
    let save_freq = options.backup.as_ref().and_then(|backup| backup.save_freq);
    check_count("fit", "save_freq", save_freq.unwrap_or(1))?;
    if !(0.0..1.0).contains(&options.validation_split) {
        let expected = "at least 0 and below 1";
        return Err(invalid("fit", "validation_split", expected, options.validation_split));
    }
    let bad = |weight: &&f32| !(weight.is_finite() && **weight >= 0.0);
    if let Some(weight) = options.class_weight.iter().flat_map(|map| map.values()).find(bad) {
        return Err(invalid("fit", "class_weight", "finite and not negative", weight));
    }
    Ok(())
}

/// Refuses a data set that is empty; of an iterator nobody knows before it is asked.
fn check_examples(data: &TrainingData<'_>, name: &'static str) -> Result<(), TaskError> {
    match data {
        TrainingData::Dataset(dataset) if dataset.is_empty() => {
            Err(TaskError::EmptyTrainingData { name })
        }
        _ => Ok(()),
    }
}
