//! A callback that saves the model after each epoch.

use std::path::{Path, PathBuf};

use gpt2_backbone::WeightDtype;
use gpt2_files::Staging;
use gpt2_task::callbacks::{CallbackState, Monitor, MonitorMode};
use gpt2_task::{BoxError, Callback, Gpt2CausalLm, Logs, TaskError, Trainer};
use serde_json::{Value, json};

use crate::api::save::Save;
use crate::error::PresetError;
use crate::formats::keras::objects as keras_objects;

/// The callback's name.
const NAME: &str = "ModelCheckpoint";

/// Callback that saves the model as KerasHub presets: after each epoch to the folder `last`, and to
/// `best` when a monitored value has improved (`keras/src/callbacks/model_checkpoint.py`).
///
/// `from_preset` opens each of the folders; a LoRA is merged into the kernels. To resume an
/// interrupted training, see [`CheckpointFolder`](crate::CheckpointFolder). A callback that is
/// reused for another training forgets the best value of the first.
///
/// ```
/// # #[cfg(feature = "bundled")] {
/// use gpt2_presets::{FromPreset, ModelCheckpoint};
/// use gpt2_task::{FitOptions, Gpt2CausalLm};
///
/// let folder = tempfile::tempdir()?;
/// let mut model = Gpt2CausalLm::from_preset("gpt2_tiny_shakespeare")?;
/// let mut checkpoint = ModelCheckpoint::new(folder.path()).with_monitor("loss");
/// let options = FitOptions::new().with_callback(&mut checkpoint);
/// model.fit(&["ROMEO:\nA dog of that house shall move me to stand."], options)?;
/// let best = checkpoint.best_path();
/// Gpt2CausalLm::from_preset(best)?;
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct ModelCheckpoint {
    folder: PathBuf,
    monitor: Option<String>,
    mode: MonitorMode,
    save_last: bool,
    save_best_only: bool,
    initial_value_threshold: Option<f64>,
    best: Option<f64>,
    resumed: bool,
}

impl ModelCheckpoint {
    /// Saves to `last` in this folder, which is created if missing.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            monitor: None,
            mode: MonitorMode::Auto,
            save_last: true,
            save_best_only: false,
            initial_value_threshold: None,
            best: None,
            resumed: false,
        }
    }

    /// Also saves to `best` when this value has improved.
    #[must_use]
    pub fn with_monitor(mut self, monitor: impl Into<String>) -> Self {
        self.monitor = Some(monitor.into());
        self
    }

    /// Sets which values are better. Default: by the name.
    #[must_use]
    pub fn with_mode(mut self, mode: MonitorMode) -> Self {
        self.mode = mode;
        self
    }

    /// Sets whether the model is saved to `last`. Default: true.
    #[must_use]
    pub fn with_save_last(mut self, save_last: bool) -> Self {
        self.save_last = save_last;
        self
    }

    /// Sets whether the model is saved to `best` only. Default: false. Without a monitor,
    /// `val_loss` is then monitored, as in Keras.
    #[must_use]
    pub fn with_save_best_only(mut self, save_best_only: bool) -> Self {
        self.save_best_only = save_best_only;
        self
    }

    /// Sets the best value of earlier trainings, on which must be improved. Default: none.
    #[must_use]
    pub fn with_initial_value_threshold(mut self, threshold: f64) -> Self {
        self.initial_value_threshold = Some(threshold);
        self
    }

    /// Best value so far.
    pub fn best(&self) -> Option<f64> {
        self.best
    }

    /// Folder of the model after the last epoch.
    pub fn last_path(&self) -> PathBuf {
        self.folder.join("last")
    }

    /// Folder of the best model.
    pub fn best_path(&self) -> PathBuf {
        self.folder.join("best")
    }

    fn saves_last(&self) -> bool {
        self.save_last && !self.save_best_only
    }

    fn monitor(&self) -> Option<Monitor> {
        let name = self.monitor.as_deref().or(self.save_best_only.then_some("val_loss"));
        name.map(|name| Monitor::new(NAME, name).with_mode(self.mode))
    }

    /// Returns an error if a save would fail, before the first epoch is trained.
    fn check(&self, model: &Gpt2CausalLm) -> Result<(), BoxError> {
        match self.monitor() {
            Some(monitor) => monitor.validate()?,
            None if self.saves_last() => {}
            None => {
                return Err(TaskError::InvalidTrainingArgument {
                    owner: NAME.to_owned(),
                    argument: "monitor",
                    expected: "a number's name if the last model is not saved".to_owned(),
                    found: "none".to_owned(),
                }
                .into());
            }
        }
        // A file that is staged but never renamed.
        let probe = |_| Ok(Staging::new(&self.folder)?.text("probe", "")?);
        keras_objects::task(model.backbone().config(), model.preprocessor(), WeightDtype::F32)
            .and_then(probe)
            .map_err(|source| failed(&self.folder, source))
    }
}

impl Callback for ModelCheckpoint {
    fn name(&self) -> &str {
        NAME
    }

    fn on_train_begin(&mut self, trainer: &mut Trainer<'_>) -> Result<(), BoxError> {
        if !std::mem::take(&mut self.resumed) {
            self.best = self.initial_value_threshold;
        }
        self.check(trainer.model())
    }

    fn on_epoch_end(
        &mut self,
        _epoch: usize,
        logs: &mut Logs,
        trainer: &mut Trainer<'_>,
    ) -> Result<(), BoxError> {
        if self.saves_last() {
            save(trainer.model(), &self.last_path())?;
        }
        let Some(monitor) = self.monitor() else { return Ok(()) };
        let Some(value) = monitor.observe(logs, trainer)? else { return Ok(()) };
        if monitor.improved(value, self.best)? {
            save(trainer.model(), &self.best_path())?;
            self.best = Some(value);
        }
        Ok(())
    }

    fn state(&self) -> CallbackState {
        CallbackState { json: json!({"best": self.best}), weights: None }
    }

    fn restore(&mut self, state: CallbackState) -> Result<(), BoxError> {
        self.best = match &state.json["best"] {
            Value::Null => None,
            best => Some(serde_json::from_value(best.clone())?),
        };
        self.resumed = true;
        Ok(())
    }
}

fn save(model: &Gpt2CausalLm, folder: &Path) -> Result<(), BoxError> {
    model.save_to_preset(folder).map_err(|source| failed(folder, source))
}

fn failed(folder: &Path, source: PresetError) -> BoxError {
    PresetError::ModelCheckpoint { path: folder.into(), source: Box::new(source) }.into()
}
