//! Keras' `fit` and `evaluate`.

use std::sync::Arc;

use super::batches::{BatchPlan, Batches};
use super::dataset::{Subset, TrainingData};
use super::fit_options::{FitOptions, ValidationFreq};
use super::history::History;
use super::logs::Logs;
use super::metrics::MetricSums;
use super::run::{Run, Validation};
use crate::arguments::{check_count, invalid};
use crate::causal_lm::Gpt2CausalLm;
use crate::error::TaskError;

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
    /// [`TaskError::NonFiniteLoss`], [`TaskError::Interrupted`], [`TaskError::ResumeMismatch`],
    /// [`TaskError::Callback`], and those of [`train_on_batch`](Self::train_on_batch).
    pub fn fit<'a>(
        &mut self,
        data: impl Into<TrainingData<'a>>,
        options: FitOptions<'a>,
    ) -> Result<History, TaskError> {
        check(&options)?;
        let data = data.into().resolve(self.preprocessor(), options.batch_size, "fit")?;
        let (data, validation) = self.split(data, &options)?;
        let mut run = Run::new(self, data, validation, options)?;
        run.resume()?;
        run.run()
    }

    /// Loss and metrics on texts, token ids or batches, without dropout: Keras' `evaluate`.
    ///
    /// `batch_size` is 32 in Keras.
    ///
    /// # Errors
    ///
    /// Those of [`fit`](Self::fit).
    pub fn evaluate<'a>(
        &self,
        data: impl Into<TrainingData<'a>>,
        batch_size: usize,
    ) -> Result<Logs, TaskError> {
        self.evaluate_at_most(data.into(), batch_size, None)
    }

    /// As [`evaluate`](Self::evaluate), on the first `steps` batches: Keras' `evaluate(steps=…)`.
    ///
    /// # Errors
    ///
    /// As [`evaluate`](Self::evaluate).
    pub fn evaluate_steps<'a>(
        &self,
        data: impl Into<TrainingData<'a>>,
        batch_size: usize,
        steps: usize,
    ) -> Result<Logs, TaskError> {
        self.evaluate_at_most(data.into(), batch_size, Some(steps))
    }

    fn evaluate_at_most(
        &self,
        data: TrainingData<'_>,
        batch_size: usize,
        steps: Option<usize>,
    ) -> Result<Logs, TaskError> {
        check_count("evaluate", "batch_size", batch_size)?;
        check_count("evaluate", "steps", steps.unwrap_or(1))?;
        let data = data.resolve(self.preprocessor(), batch_size, "evaluate")?;
        self.evaluate_batches(&data, BatchPlan { batch_size, steps, repeat: false, seed: None }, "")
    }

    pub(super) fn evaluate_batches(
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

    /// Splits data into training and validation data.
    fn split<'a>(
        &self,
        data: TrainingData<'a>,
        options: &FitOptions<'a>,
    ) -> Result<(TrainingData<'a>, Option<Validation<'a>>), TaskError> {
        let batch_size = options.validation_batch_size.unwrap_or(options.batch_size);
        let validation = |data| Validation {
            data,
            plan: BatchPlan {
                batch_size,
                steps: options.validation_steps,
                repeat: false,
                seed: None,
            },
            freq: options.validation_freq.clone(),
        };
        if let Some(given) = &options.validation_data {
            let resolved = given.clone().resolve(self.preprocessor(), batch_size, "fit")?;
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
