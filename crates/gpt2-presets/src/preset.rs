//! An opened preset: its format and config, and the models and tokenizers that it loads.

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

/// A GPT-2 on the disk, on a hub or in this library. Its config was read and checked.
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
    /// Opens a built-in preset by its name, a model on a hub by its handle, or a folder or file by
    /// its path or `file://` URL. The file is a `.keras` or a GGUF file; a GGUF file may have any
    /// name.
    ///
    /// With the cargo feature `hub`, each file of a hub is downloaded when it is needed, to the
    /// cache of the hub's own Python client. Access tokens and cache folders are those of the
    /// environment.
    ///
    /// A folder contains a KerasHub preset or a transformers model, which `config.json` tells, or a
    /// single `.gguf` file without `config.json`. A `.keras` file comes from Keras' `save` of a
    /// `GPT2CausalLM` or a `GPT2Backbone`. Its weights are copied to the system's temporary folder
    /// when they are needed, and removed with the preset.
    ///
    /// To open a folder with a built-in preset's name, pass `./name`. Files are only data: nothing
    /// that they name is executed, and no path in a config is opened.
    ///
    /// # Errors
    ///
    /// [`PresetError::UnknownPreset`] for a name, [`PresetError::MissingPath`] for a path that does
    /// not exist, [`PresetError::Hub`] for a malformed handle or a hub's refusal, and errors of
    /// `config.json` or a GGUF file's metadata.
    pub fn open(source: impl AsRef<Path>) -> Result<Self, PresetError> {
        Self::open_through(source.as_ref(), &HubAccess::default())
    }

    /// As [`open`](Self::open), with options of hubs.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
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

    /// Preset of a format. Reads and checks its config.
    pub(crate) fn new(name: &str, opened: Arc<dyn OpenedPreset>) -> Result<Self, PresetError> {
        let config = opened.config()?;
        config.validate()?;
        Ok(Self { name: name.to_owned(), opened, config })
    }

    /// Name, handle or path by which the preset was opened.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Format of the files.
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
    /// [`PresetError::VocabularyTooLarge`] if it has ids without an embedding.
    pub fn tokenizer(&self) -> Result<Gpt2Tokenizer, PresetError> {
        let tokenizer = self.opened.tokenizer()?;
        let vocabulary_size = self.config.vocabulary_size;
        check_vocabulary(&self.name, tokenizer.max_token_id(), vocabulary_size)?;
        Ok(tokenizer)
    }

    /// Loads the preprocessor: the tokenizer, and the settings of `preprocessor.json`.
    ///
    /// Without that file the settings are KerasHub's defaults, with a sequence length of at most
    /// the model's positions.
    ///
    /// # Errors
    ///
    /// As [`tokenizer`](Self::tokenizer), and [`PresetError::Task`].
    pub fn preprocessor(&self) -> Result<Gpt2CausalLmPreprocessor, PresetError> {
        let config =
            self.opened.preprocessor()?.unwrap_or_else(|| self.default_preprocessor_config());
        Ok(Gpt2CausalLmPreprocessor::new(self.tokenizer()?, config)?)
    }

    /// Loads the model without its head.
    ///
    /// # Errors
    ///
    /// As [`backbone_with_report`](Self::backbone_with_report).
    pub fn backbone(&self, options: impl Into<LoadOptions>) -> Result<Gpt2Backbone, PresetError> {
        Ok(self.backbone_with_report(options)?.0)
    }

    /// Loads the model without its head, and reports on each tensor of its checkpoint.
    ///
    /// Names and shapes of all tensors are first checked against the config. Then each tensor is
    /// read, checked and moved into the model, so that no weight is in memory twice.
    ///
    /// # Errors
    ///
    /// Errors of the files, [`PresetError::IncompleteWeights`], [`PresetError::TensorShape`],
    /// [`PresetError::UnsupportedElementType`], [`PresetError::ConflictingHead`] or
    /// [`PresetError::NonFiniteWeight`].
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

    /// Loads the causal language model: backbone and preprocessor.
    ///
    /// Settings in `task.json` take precedence over `preprocessor.json`, as in KerasHub. A task
    /// that was saved without a preprocessor is loaded without one.
    ///
    /// # Errors
    ///
    /// As [`backbone`](Self::backbone) and [`preprocessor`](Self::preprocessor).
    pub fn causal_lm(&self, options: impl Into<LoadOptions>) -> Result<Gpt2CausalLm, PresetError> {
        // The preprocessor first, so that its errors show before the weights are read.
        let preprocessor = self.task_preprocessor()?;
        Ok(Gpt2CausalLm::new(self.backbone(options)?, preprocessor)?)
    }

    /// Loads the preprocessor of the [causal language model](Self::causal_lm). Settings in
    /// `task.json` take precedence over `preprocessor.json`. None if the task was saved without
    /// one.
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

    /// Whether the preset is a backbone alone: it has no tokenizer, and no file describes its task.
    pub(crate) fn is_backbone_alone(&self) -> Result<bool, PresetError> {
        Ok(self.opened.task_preprocessor()? == TaskPreprocessor::Unspecified
            && !self.opened.has_tokenizer()?)
    }

    /// Parameters, which are read one by one on access.
    pub(crate) fn parameters(&self) -> Result<PlacedCheckpoint, PresetError> {
        // Not memory-mapped: pages read through a map would count as memory in use.
        PlacedCheckpoint::new(&self.config, self.opened.checkpoint(false)?)
    }

    fn default_preprocessor_config(&self) -> PreprocessorConfig {
        let default = PreprocessorConfig::new();
        let sequence_length = default.sequence_length.min(self.config.max_sequence_length);
        default.with_sequence_length(sequence_length)
    }
}
