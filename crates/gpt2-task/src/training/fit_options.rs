//! Arguments of `fit`.

use std::collections::BTreeMap;

use gpt2_tokenizer::TokenId;

use super::callbacks::callback::Callback;
use super::checkpoint::CheckpointStore;
use super::dataset::TrainingData;

/// Arguments of Keras' `fit`, with its defaults (`keras/src/trainers/trainer.py`).
pub struct FitOptions<'a> {
    pub(crate) batch_size: usize,
    pub(crate) epochs: usize,
    pub(crate) initial_epoch: usize,
    pub(crate) shuffle: bool,
    pub(crate) seed: Option<u64>,
    pub(crate) steps_per_epoch: Option<usize>,
    pub(crate) validation_data: Option<TrainingData<'a>>,
    pub(crate) validation_split: f64,
    pub(crate) validation_freq: ValidationFreq,
    pub(crate) validation_batch_size: Option<usize>,
    pub(crate) validation_steps: Option<usize>,
    pub(crate) class_weight: Option<BTreeMap<TokenId, f32>>,
    pub(crate) callbacks: Vec<&'a mut dyn Callback>,
    pub(crate) backup: Option<Backup<'a>>,
}

/// Epochs after which the model is validated. Default: every epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValidationFreq {
    /// After every n-th epoch.
    Every(usize),
    /// After these epochs, counted from 1.
    Epochs(Vec<usize>),
}

/// Store for the checkpoints of a training, and when they are written.
pub(crate) struct Backup<'a> {
    pub(crate) store: &'a mut dyn CheckpointStore,
    /// Batches between two checkpoints. None: only at the end of an epoch.
    pub(crate) save_freq: Option<usize>,
    pub(crate) delete_checkpoint: bool,
}

impl<'a> FitOptions<'a> {
    /// Keras' defaults: one epoch, in shuffled batches of 32.
    pub fn new() -> Self {
        Self {
            batch_size: 32,
            epochs: 1,
            initial_epoch: 0,
            shuffle: true,
            seed: None,
            steps_per_epoch: None,
            validation_data: None,
            validation_split: 0.0,
            validation_freq: ValidationFreq::Every(1),
            validation_batch_size: None,
            validation_steps: None,
            class_weight: None,
            callbacks: Vec::new(),
            backup: None,
        }
    }

    /// Sets the rows in a batch. Ready-made batches keep theirs. Default: 32.
    #[must_use]
    pub fn with_batch_size(mut self, batch_size: usize) -> Self {
        self.batch_size = batch_size;
        self
    }

    /// Sets the number of the epoch before which the training ends. Default: 1.
    #[must_use]
    pub fn with_epochs(mut self, epochs: usize) -> Self {
        self.epochs = epochs;
        self
    }

    /// Sets the first epoch, counted from 0. Default: 0.
    #[must_use]
    pub fn with_initial_epoch(mut self, initial_epoch: usize) -> Self {
        self.initial_epoch = initial_epoch;
        self
    }

    /// Sets whether every epoch has another order of the examples. KerasHub ignores this for a
    /// model with a preprocessor, and keeps the order. Default: true.
    #[must_use]
    pub fn with_shuffle(mut self, shuffle: bool) -> Self {
        self.shuffle = shuffle;
        self
    }

    /// Sets the seed of the order of examples and of dropout. Default: a random seed.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Sets the number of batches in an epoch. Data that end earlier start again. Default: until
    /// the data end.
    #[must_use]
    pub fn with_steps_per_epoch(mut self, steps_per_epoch: usize) -> Self {
        self.steps_per_epoch = Some(steps_per_epoch);
        self
    }

    /// Sets the validation data. Replaces a validation split. Default: none.
    #[must_use]
    pub fn with_validation_data(mut self, data: impl Into<TrainingData<'a>>) -> Self {
        self.validation_data = Some(data.into());
        self
    }

    /// Sets the share of the examples for validation, taken from their end before shuffling.
    /// Default: 0.
    #[must_use]
    pub fn with_validation_split(mut self, validation_split: f64) -> Self {
        self.validation_split = validation_split;
        self
    }

    /// Sets the epochs after which the model is validated. Default: every epoch.
    #[must_use]
    pub fn with_validation_freq(mut self, validation_freq: ValidationFreq) -> Self {
        self.validation_freq = validation_freq;
        self
    }

    /// Sets the rows in a validation batch. Default: those of a training batch.
    #[must_use]
    pub fn with_validation_batch_size(mut self, validation_batch_size: usize) -> Self {
        self.validation_batch_size = Some(validation_batch_size);
        self
    }

    /// Sets the number of batches in a validation. Default: all.
    #[must_use]
    pub fn with_validation_steps(mut self, validation_steps: usize) -> Self {
        self.validation_steps = Some(validation_steps);
        self
    }

    /// Sets factors of the targets' weights by token id. Ids without a factor have 1. Default:
    /// none.
    ///
    /// KerasHub does not support `class_weight` for language models.
    #[must_use]
    pub fn with_class_weight(mut self, class_weight: BTreeMap<TokenId, f32>) -> Self {
        self.class_weight = Some(class_weight);
        self
    }

    /// Adds a callback, which is called after those added before.
    #[must_use]
    pub fn with_callback(mut self, callback: &'a mut dyn Callback) -> Self {
        self.callbacks.push(callback);
        self
    }

    /// Sets the store of checkpoints. One is written after every epoch, and with `save_freq` also
    /// after that number of batches.
    ///
    /// If the store has a checkpoint already, the training resumes from it as if it had not
    /// stopped. At the end of the training the checkpoint is removed.
    /// (`keras/src/callbacks/backup_and_restore.py` keeps neither the order of the data nor random
    /// states.)
    #[must_use]
    pub fn with_backup(
        mut self,
        store: &'a mut dyn CheckpointStore,
        save_freq: Option<usize>,
    ) -> Self {
        self.backup = Some(Backup { store, save_freq, delete_checkpoint: true });
        self
    }

    /// Sets whether the checkpoint is removed at the end of the training. Call this after
    /// [`with_backup`](Self::with_backup). Default: true.
    #[must_use]
    pub fn with_delete_checkpoint(mut self, delete_checkpoint: bool) -> Self {
        if let Some(backup) = &mut self.backup {
            backup.delete_checkpoint = delete_checkpoint;
        }
        self
    }
}

impl Default for FitOptions<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl ValidationFreq {
    /// Whether a validation follows an epoch, counted from 0.
    pub(crate) fn includes(&self, epoch: usize) -> bool {
        match self {
            Self::Every(epochs) => (epoch + 1).is_multiple_of(*epochs),
            Self::Epochs(epochs) => epochs.contains(&(epoch + 1)),
        }
    }
}
