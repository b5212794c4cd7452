//! An opened preset: its format and config, and the models and tokenizers that it gives.

use std::path::Path;
use std::sync::Arc;

use gpt2_backbone::{Gpt2Backbone, Gpt2BackboneConfig};
use gpt2_task::{Gpt2CausalLm, Gpt2CausalLmPreprocessor, PreprocessorConfig};
use gpt2_tokenizer::Gpt2Tokenizer;

use crate::api::load_options::LoadOptions;
use crate::error::PresetError;
use crate::formats::format::{OpenedPreset, TaskPreprocessor};
use crate::formats::preset_format::PresetFormat;
use crate::formats::tables::check_vocabulary;
use crate::open::find::find;
use crate::open::hub_access::HubAccess;
use crate::open::recognise::open_folder;
use crate::weights::load::{initialize, load};
use crate::weights::load_report::LoadReport;
use crate::weights::placed_checkpoint::PlacedCheckpoint;

/// A GPT-2 on the disk, on a hub or in this library, whose config was read and checked.
///
/// ```
/// # #[cfg(feature = "bundled")] {
/// use burn::tensor::Device;
/// use gpt2_presets::Preset;
///
/// let preset = Preset::open("gpt2_tiny_shakespeare")?;
/// assert_eq!(preset.config().num_layers, 4);
/// let ids = preset.tokenizer()?.tokenize("What, art thou mad?")?;
/// let (backbone, report) = preset.backbone_with_report(&Device::flex())?;
/// assert_eq!(backbone.config(), preset.config());
/// assert_eq!(report.applied.len(), 52);
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Preset {
    name: String,
    opened: Arc<dyn OpenedPreset>,
    config: Gpt2BackboneConfig,
}

impl Preset {
    /// Opens a built-in preset by its name, a model on a hub by its handle, or a folder, a `.keras`
    /// file or a GGUF file, whatever its name, by its path or `file://` URL.
    ///
    /// From a hub, with the cargo feature `hub`, each file is downloaded when it is needed, into the
    /// cache of the hub's own Python client; tokens and folders are those of the environment.
    ///
    /// The folder may hold a preset of KerasHub or a model of the transformers library;
    /// `config.json` says which. Without that file, it may hold a single `.gguf` file. A `.keras` file
    /// is one that Keras' `save` wrote of a `GPT2CausalLM` or a `GPT2Backbone`; its weights are copied
    /// to the system's folder for temporary files when they are asked for, and removed with the
    /// preset. A folder with a built-in preset's name is opened as `./name`. Nothing that a file
    /// names is executed, and no path in a config is opened.
    ///
    /// # Errors
    ///
    /// [`PresetError::UnknownPreset`] for a name, [`PresetError::MissingPath`] for a path that does
    /// not exist, [`PresetError::Hub`] for a malformed handle or a refusal of the hub, and faults of
    /// `config.json` or of the metadata of a GGUF file.
    pub fn open(source: impl AsRef<Path>) -> Result<Self, PresetError> {
        Self::open_through(source.as_ref(), &HubAccess::default())
    }

    /// As [`open`](Self::open), with options for what is on a hub.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open).
    #[cfg(feature = "hub")]
    pub fn open_with(
        source: impl AsRef<Path>,
        options: &gpt2_hub::HubOptions,
    ) -> Result<Self, PresetError> {
        Self::open_through(source.as_ref(), &Some(options.clone()))
    }

    pub(crate) fn open_through(source: &Path, hub: &HubAccess) -> Result<Self, PresetError> {
        let name = source.to_string_lossy();
        Self::new(&name, open_folder(&find(source, hub)?, &name)?)
    }

    /// The preset of a format. Reads and checks its config.
    pub(crate) fn new(name: &str, opened: Arc<dyn OpenedPreset>) -> Result<Self, PresetError> {
        let config = opened.config()?;
        config.validate()?;
        Ok(Self { name: name.to_owned(), opened, config })
    }

    /// Name, handle or path that the preset was opened by.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Format.
    pub fn format(&self) -> PresetFormat {
        self.opened.format()
    }

    /// Config of the backbone.
    pub fn config(&self) -> &Gpt2BackboneConfig {
        &self.config
    }

    /// The tokenizer.
    ///
    /// # Errors
    ///
    /// [`PresetError::MissingFile`], [`PresetError::Tokenizer`], and
    /// [`PresetError::VocabularyTooLarge`] if it has ids that the model does not.
    pub fn tokenizer(&self) -> Result<Gpt2Tokenizer, PresetError> {
        let tokenizer = self.opened.tokenizer()?;
        let vocabulary_size = self.config.vocabulary_size;
        check_vocabulary(&self.name, tokenizer.max_token_id(), vocabulary_size)?;
        Ok(tokenizer)
    }

    /// The preprocessor: the tokenizer, and the settings of `preprocessor.json`.
    ///
    /// Without such a file, KerasHub's defaults; the sequence length is then no longer than the
    /// model's positions.
    ///
    /// # Errors
    ///
    /// As [`tokenizer`](Self::tokenizer), and [`PresetError::Task`].
    pub fn preprocessor(&self) -> Result<Gpt2CausalLmPreprocessor, PresetError> {
        let config =
            self.opened.preprocessor()?.unwrap_or_else(|| self.default_preprocessor_config());
        Ok(Gpt2CausalLmPreprocessor::new(self.tokenizer()?, config)?)
    }

    /// The model without its head.
    ///
    /// # Errors
    ///
    /// As [`backbone_with_report`](Self::backbone_with_report).
    pub fn backbone(&self, options: impl Into<LoadOptions>) -> Result<Gpt2Backbone, PresetError> {
        Ok(self.backbone_with_report(options)?.0)
    }

    /// The model without its head, and a report on each tensor of its checkpoint.
    ///
    /// The names and shapes of all tensors are checked against the config first. Then each one is
    /// read, checked and given to the model, so that no weight is in memory twice.
    ///
    /// # Errors
    ///
    /// Faults of the files, [`PresetError::IncompleteWeights`],
    /// [`PresetError::TensorShape`], [`PresetError::UnsupportedElementType`],
    /// [`PresetError::ConflictingHead`], [`PresetError::NonFiniteWeight`].
    pub fn backbone_with_report(
        &self,
        options: impl Into<LoadOptions>,
    ) -> Result<(Gpt2Backbone, LoadReport), PresetError> {
        let options = options.into();
        let settings = options.settings()?;
        if !options.load_weights {
            let backbone = initialize(&self.config, &settings, options.seed)?;
            return Ok((backbone, LoadReport::default()));
        }
        let checkpoint = self.opened.checkpoint(settings.memory_map)?;
        load(&self.config, checkpoint, &settings)
    }

    /// The causal language model: backbone and preprocessor.
    ///
    /// Settings in `task.json` go before those in `preprocessor.json`, as in KerasHub; a task that
    /// was saved without preprocessor is loaded without.
    ///
    /// # Errors
    ///
    /// As [`backbone`](Self::backbone) and [`preprocessor`](Self::preprocessor).
    pub fn causal_lm(&self, options: impl Into<LoadOptions>) -> Result<Gpt2CausalLm, PresetError> {
        // The preprocessor first: what is wrong with it shows before the weights are read.
        let preprocessor = self.task_preprocessor()?;
        Ok(Gpt2CausalLm::new(self.backbone(options)?, preprocessor)?)
    }

    /// The preprocessor of the [causal language model](Self::causal_lm): the settings of `task.json`
    /// go before those of `preprocessor.json`. None if the task was saved without one.
    ///
    /// # Errors
    ///
    /// As [`preprocessor`](Self::preprocessor).
    pub fn task_preprocessor(&self) -> Result<Option<Gpt2CausalLmPreprocessor>, PresetError> {
        Ok(match self.opened.task_preprocessor()? {
            TaskPreprocessor::Unspecified => Some(self.preprocessor()?),
            TaskPreprocessor::Absent => None,
            TaskPreprocessor::Saved(config) => {
                Some(Gpt2CausalLmPreprocessor::new(self.tokenizer()?, config)?)
            }
        })
    }

    /// Whether there is neither a tokenizer nor a task that was saved without one.
    pub(crate) fn is_backbone_alone(&self) -> Result<bool, PresetError> {
        Ok(self.opened.task_preprocessor()? == TaskPreprocessor::Unspecified
            && !self.opened.has_tokenizer()?)
    }

    /// The parameters, each read when it is asked for.
    pub(crate) fn parameters(&self) -> Result<PlacedCheckpoint, PresetError> {
        // Without a memory map: the pages that are read through one count as memory in use.
        PlacedCheckpoint::new(&self.config, self.opened.checkpoint(false)?)
    }

    fn default_preprocessor_config(&self) -> PreprocessorConfig {
        let default = PreprocessorConfig::new();
        let sequence_length = default.sequence_length.min(self.config.max_sequence_length);
        default.with_sequence_length(sequence_length)
    }
}
