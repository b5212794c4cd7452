//! Formats of a folder with a `config.json`, and their presets.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use gpt2_backbone::Gpt2BackboneConfig;
use gpt2_task::PreprocessorConfig;
use gpt2_tokenizer::Gpt2Tokenizer;
use serde_json::{Map, Value};

use crate::error::PresetError;
use crate::formats::contents::{Contents, WriteOptions};
use crate::formats::format::{Format, LoneTokenizer, OpenedPreset, TaskPreprocessor};
use crate::formats::preset_format::PresetFormat;
use crate::formats::publishing::Publishing;
use crate::source::preset_folder::PresetFolder;
use crate::weights::checkpoint::Checkpoint;
use crate::weights::weight_map::WeightMap;

/// Reads the config of the backbone from `config.json`.
type ReadConfig =
    fn(&dyn PresetFolder, &Map<String, Value>) -> Result<Gpt2BackboneConfig, PresetError>;

/// Opens a preset that is a single file.
type OpenFile = fn(&Path) -> Result<Option<Arc<dyn PresetFolder>>, PresetError>;

/// A format of folders, described by data.
pub(crate) struct FolderFormat {
    /// Public name.
    pub(crate) name: PresetFormat,
    /// Names of the tensors.
    pub(crate) weight_map: &'static WeightMap,
    /// Keys of `config.json`, each of which identifies the format.
    pub(crate) config_keys: &'static [&'static str],
    /// The usual key and the library that writes it, for messages.
    pub(crate) config_key: &'static str,
    /// Reads the backbone's config from `config.json`.
    pub(crate) config: ReadConfig,
    /// Opens a preset that is a single file. None if the file is not one.
    pub(crate) folder_of_file: OpenFile,
    /// Opens the weights of a preset, optionally mapped. The text is the preset's name in messages.
    pub(crate) checkpoint:
        fn(&dyn PresetFolder, preset: &str, memory_map: bool) -> Result<Checkpoint, PresetError>,
    /// Names of all files, except shards.
    pub(crate) files: &'static [&'static str],
    /// Whether a file with this name is one of several with the weights.
    pub(crate) is_shard: fn(&str) -> bool,
    /// Files of a tokenizer. A preset with any of them has a tokenizer.
    pub(crate) tokenizer_files: &'static [&'static str],
    /// Files of a tokenizer without a model, and the reader of all tokenizers.
    pub(crate) tokenizer: LoneTokenizer,
    /// Reads the settings of the preprocessor, if they were saved.
    pub(crate) preprocessor:
        fn(&dyn PresetFolder) -> Result<Option<PreprocessorConfig>, PresetError>,
    /// Reads the preprocessor of the causal language model.
    pub(crate) task_preprocessor: fn(&dyn PresetFolder) -> Result<TaskPreprocessor, PresetError>,
    /// Data for uploads.
    pub(crate) publishing: Publishing,
    /// Default size in bytes above which the weights are split.
    pub(crate) default_shard_size: u64,
    /// Writes a folder.
    pub(crate) write: fn(Contents<'_>, &Path, &WriteOptions) -> Result<(), PresetError>,
}

impl fmt::Debug for FolderFormat {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(formatter)
    }
}

/// A preset in a folder format.
#[derive(Debug)]
struct FolderPreset {
    format: &'static FolderFormat,
    folder: Arc<dyn PresetFolder>,
    name: String,
    config: Gpt2BackboneConfig,
}

impl Format for FolderFormat {
    fn weight_map(&self) -> &'static WeightMap {
        self.weight_map
    }

    fn config_key(&self) -> Option<&'static str> {
        Some(self.config_key)
    }

    fn folder_of_file(&self, path: &Path) -> Result<Option<Arc<dyn PresetFolder>>, PresetError> {
        (self.folder_of_file)(path)
    }

    fn open(
        &'static self,
        folder: &Arc<dyn PresetFolder>,
        preset: &str,
        config: Option<&Map<String, Value>>,
    ) -> Result<Option<Arc<dyn OpenedPreset>>, PresetError> {
        let is_ours =
            |json: &&Map<_, _>| self.config_keys.iter().any(|key| json.contains_key(*key));
        let Some(json) = config.filter(is_ours) else { return Ok(None) };
        let config = (self.config)(&**folder, json)?;
        let (folder, name) = (folder.clone(), preset.to_owned());
        Ok(Some(Arc::new(FolderPreset { format: self, folder, name, config })))
    }

    fn files(&self) -> &'static [&'static str] {
        self.files
    }

    fn is_shard(&self, name: &str) -> bool {
        (self.is_shard)(name)
    }

    fn lone_tokenizer(&self) -> Option<LoneTokenizer> {
        Some(self.tokenizer)
    }

    fn name(&self) -> PresetFormat {
        self.name
    }

    fn default_shard_size(&self) -> Option<u64> {
        Some(self.default_shard_size)
    }

    fn write(
        &self,
        contents: Contents<'_>,
        folder: &Path,
        options: &WriteOptions,
    ) -> Result<(), PresetError> {
        (self.write)(contents, folder, options)
    }
}

impl OpenedPreset for FolderPreset {
    fn format(&self) -> PresetFormat {
        self.format.name
    }

    fn config(&self) -> Result<Gpt2BackboneConfig, PresetError> {
        Ok(self.config.clone())
    }

    fn checkpoint(&self, memory_map: bool) -> Result<Checkpoint, PresetError> {
        (self.format.checkpoint)(&*self.folder, &self.name, memory_map)
    }

    fn has_tokenizer(&self) -> Result<bool, PresetError> {
        self.folder.fetch_any(self.format.tokenizer_files)
    }

    fn tokenizer(&self) -> Result<Gpt2Tokenizer, PresetError> {
        (self.format.tokenizer.read)(&*self.folder, &self.name)
    }

    fn publishing(&self) -> Option<&'static Publishing> {
        Some(&self.format.publishing)
    }

    fn preprocessor(&self) -> Result<Option<PreprocessorConfig>, PresetError> {
        (self.format.preprocessor)(&*self.folder)
    }

    fn task_preprocessor(&self) -> Result<TaskPreprocessor, PresetError> {
        (self.format.task_preprocessor)(&*self.folder)
    }
}
