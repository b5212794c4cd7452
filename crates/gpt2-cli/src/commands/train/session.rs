//! The training itself: optimizer, callbacks and result.

use std::time::Duration;

use gpt2_presets::ModelCheckpoint;
use gpt2_task::callbacks::{EarlyStopping, JsonlLogger, ProgressBar};
use gpt2_task::{
    Callback, CompileOptions, Dataset, FitOptions, Gpt2CausalLm, History, Metric, TaskError,
    TrainingData, optimizers,
};

use super::arguments::Arguments;
use super::course::Course;
use super::curves::Curves;
use super::data::Data;
use super::folder::{Litter, OutputFolder};
use super::header::Header;
use super::last::Last;
use super::log;
use super::plan::Plan;
use super::samples::Samples;
use super::schedule::learning_rate;
use crate::context::Context;

/// Least time between two progress lines without a terminal.
const LINES_EVERY: Duration = Duration::from_secs(30);

/// A training that is ready to start.
pub(super) struct Session<'a> {
    pub(super) arguments: &'a Arguments,
    pub(super) context: &'a Context,
    pub(super) folder: &'a OutputFolder,
    pub(super) plan: Plan,
}

/// A completed training.
pub(super) struct Trained {
    pub(super) history: History,
    /// Epoch, counted from 0, after which early stopping ended the training.
    pub(super) stopped_epoch: Option<usize>,
    /// Epoch, counted from 0, whose weights are kept.
    pub(super) kept_epoch: usize,
}

impl Session<'_> {
    pub(super) fn compile(&self, model: &mut Gpt2CausalLm) -> anyhow::Result<()> {
        let arguments = self.arguments;
        let optimizer = optimizers::get(&arguments.optimizer)?;
        let schedule = learning_rate(arguments, &optimizer, self.plan.steps)?;
        self.plan.warn_of_warmup(&schedule, self.context);
        let options = CompileOptions::new()
            .with_optimizer(optimizer.with_learning_rate(schedule))
            .with_weighted_metrics([Metric::SparseCategoricalAccuracy, Metric::Perplexity])
            .with_gradient_checkpointing(arguments.gradient_checkpointing)
            .with_precision(arguments.precision.into());
        Ok(model.compile(options)?)
    }

    /// Trains, from the last checkpoint if there is one.
    pub(super) fn fit(
        &self,
        model: &mut Gpt2CausalLm,
        data: &Data,
        header: &Header,
        litter: Litter,
    ) -> anyhow::Result<Result<Trained, TaskError>> {
        let Self { arguments, context, folder, plan } = *self;
        let mut checkpoint = folder.checkpoint();
        let resumed = checkpoint.path().exists();
        let mut log = JsonlLogger::new(log::open(&folder.file("log.jsonl"), resumed)?)
            .with_batches(1)
            .with_speed(true);
        let header = header.lines(arguments, plan);
        let mut course = Course { arguments, context, folder, header, plan, litter };
        let mut progress = progress(context, plan);
        let mut curves = Curves::new(arguments.plot.then(|| folder.file("")), context);
        let mut last = Last { folder: folder.file("last") };
        let mut samples = Samples { prompts: &arguments.sample, seed: arguments.seed, context };
        let mut stopping = arguments.early_stopping.map(|patience| {
            EarlyStopping::new("val_loss").with_patience(patience).with_restore_best_weights(true)
        });
        let mut best = data.validation.as_ref().map(|_| {
            let best = ModelCheckpoint::new(folder.file(""));
            best.with_monitor("val_loss").with_save_best_only(true)
        });
        let training: &dyn Dataset = &data.training;
        let mut options = FitOptions::new()
            .with_batch_size(arguments.batch_size)
            .with_epochs(plan.epochs)
            .with_steps_per_epoch(plan.steps_per_epoch)
            .with_seed(arguments.seed)
            .with_callback(&mut curves)
            .with_callback(&mut log)
            // Before the others: it ends a training that diverges.
            .with_callback(&mut course)
            .with_callback(&mut progress)
            .with_callback(&mut last)
            .with_callback(&mut samples);
        if let Some(validation) = &data.validation {
            let validation: &dyn Dataset = validation;
            options = options.with_validation_data(TrainingData::dataset(validation));
        }
        let optional = [
            stopping.as_mut().map(|one| one as &mut dyn Callback),
            best.as_mut().map(|one| one as _),
        ];
        for callback in optional.into_iter().flatten() {
            options = options.with_callback(callback);
        }
        options = options
            .with_backup(&mut checkpoint, Some(arguments.save_every))
            .with_delete_checkpoint(false);
        let fitted = model.fit(TrainingData::dataset(training), options);
        // Those of an unfinished epoch too, if the training was interrupted or has diverged.
        curves.draw();
        Ok(fitted.map(|history| {
            let last_epoch = history.epoch.last().copied().unwrap_or_default();
            let kept_epoch = stopping.as_ref().and_then(EarlyStopping::best_epoch);
            Trained {
                stopped_epoch: stopping.as_ref().and_then(EarlyStopping::stopped_epoch),
                kept_epoch: kept_epoch.unwrap_or(last_epoch),
                history,
            }
        }))
    }
}

fn progress(context: &Context, plan: Plan) -> ProgressBar<'static> {
    let bar = match context.quiet {
        true => ProgressBar::to(std::io::sink()),
        false => ProgressBar::new(),
    };
    bar.with_total_steps(plan.steps as u64).with_lines_every(LINES_EVERY)
}
