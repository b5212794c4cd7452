//! The arguments of `fit` and `evaluate`.

use std::collections::BTreeMap;

use gpt2_tokenizer::TokenId;

use super::callbacks::callback::Callback;
use super::checkpoint::CheckpointStore;
use super::dataset::TrainingData;

/// Keras' arguments of `fit`, with its defaults (`keras/src/trainers/trainer.py`).
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

/// After which epochs the validation data are looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValidationFreq {
    /// After every so many epochs.
    Every(usize),
    /// After these epochs, counted from 1.
    Epochs(Vec<usize>),
}

/// Place in which a training keeps what it needs to go on after an interruption.
pub(crate) struct Backup<'a> {
    pub(crate) store: &'a mut dyn CheckpointStore,
    /// Batches between two checkpoints; unset for the ends of epochs only.
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

    /// Rows of a batch; ready-made batches keep theirs.
    #[must_use]
    pub fn with_batch_size(mut self, batch_size: usize) -> Self {
        self.batch_size = batch_size;
        self
    }

    /// The epoch before which the training ends.
    #[must_use]
    pub fn with_epochs(mut self, epochs: usize) -> Self {
        self.epochs = epochs;
        self
    }

    /// The epoch with which the training begins, counted from 0.
    #[must_use]
    pub fn with_initial_epoch(mut self, initial_epoch: usize) -> Self {
        self.initial_epoch = initial_epoch;
        self
    }

    /// Whether the examples are in another order in every epoch. KerasHub ignores this for a model
    /// with preprocessor, and keeps the order.
    #[must_use]
    pub fn with_shuffle(mut self, shuffle: bool) -> Self {
        self.shuffle = shuffle;
        self
    }

    /// From which the order of examples and the dropout follow; a random one unless it is set.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Batches in an epoch, where it is not to end with the data. Data that end earlier begin anew.
    #[must_use]
    pub fn with_steps_per_epoch(mut self, steps_per_epoch: usize) -> Self {
        self.steps_per_epoch = Some(steps_per_epoch);
        self
    }

    /// Sets the data on which the model is evaluated after an epoch; replaces a validation split.
    #[must_use]
    pub fn with_validation_data(mut self, data: impl Into<TrainingData<'a>>) -> Self {
        self.validation_data = Some(data.into());
        self
    }

    /// The share of the examples, from their end and before shuffling, that is for validation only.
    #[must_use]
    pub fn with_validation_split(mut self, validation_split: f64) -> Self {
        self.validation_split = validation_split;
        self
    }

    /// After which epochs the validation data are looked at.
    #[must_use]
    pub fn with_validation_freq(mut self, validation_freq: ValidationFreq) -> Self {
        self.validation_freq = validation_freq;
        self
    }

    /// Rows of a validation batch; those of a training batch unless it is set.
    #[must_use]
    pub fn with_validation_batch_size(mut self, validation_batch_size: usize) -> Self {
        self.validation_batch_size = Some(validation_batch_size);
        self
    }

    /// Batches that a validation looks at; all unless it is set.
    #[must_use]
    pub fn with_validation_steps(mut self, validation_steps: usize) -> Self {
        self.validation_steps = Some(validation_steps);
        self
    }

    /// Factors of the weights of targets, by token id; 1 for those that are not listed.
    ///
    /// In KerasHub `class_weight` cannot be used with a language model.
    #[must_use]
    pub fn with_class_weight(mut self, class_weight: BTreeMap<TokenId, f32>) -> Self {
        self.class_weight = Some(class_weight);
        self
    }

    /// Has a callback called, after those that were given before.
    #[must_use]
    pub fn with_callback(mut self, callback: &'a mut dyn Callback) -> Self {
        self.callbacks.push(callback);
        self
    }

    /// Keeps a checkpoint in `store` after every epoch, and every `save_freq` batches if that is
    /// given. If the store holds one already, the training goes on from there, as if it had never
    /// been stopped; at its end the checkpoint is removed (`keras/src/callbacks/backup_and_restore.py`,
    /// which keeps neither the order of the data nor random states).
    #[must_use]
    pub fn with_backup(
        mut self,
        store: &'a mut dyn CheckpointStore,
        save_freq: Option<usize>,
    ) -> Self {
        self.backup = Some(Backup { store, save_freq, delete_checkpoint: true });
        self
    }

    /// Whether the checkpoint is removed at the end of the training: yes, unless told otherwise.
    /// Call it behind [`with_backup`](Self::with_backup).
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
    /// Whether an epoch, counted from 0, is followed by a validation.
    pub(crate) fn includes(&self, epoch: usize) -> bool {
        match self {
            Self::Every(epochs) => (epoch + 1).is_multiple_of(*epochs),
            Self::Epochs(epochs) => epochs.contains(&(epoch + 1)),
        }
    }
}
