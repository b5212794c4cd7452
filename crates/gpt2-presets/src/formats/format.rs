//! Traits of a format and of a preset.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use gpt2_backbone::Gpt2BackboneConfig;
use gpt2_files::FileError;
use gpt2_task::PreprocessorConfig;
use gpt2_tokenizer::Gpt2Tokenizer;
use serde_json::{Map, Value};

use crate::error::PresetError;
use crate::formats::contents::{Contents, WriteOptions};
use crate::formats::preset_format::PresetFormat;
use crate::formats::publishing::Publishing;
use crate::source::preset_folder::PresetFolder;
use crate::weights::checkpoint::Checkpoint;
use crate::weights::weight_map::WeightMap;

/// A format of presets. `formats/mod.rs` lists all of them.
pub(crate) trait Format: fmt::Debug + Sync {
    /// Names of the tensors.
    fn weight_map(&self) -> &'static WeightMap;

    /// The key that identifies `config.json`, and the library that writes it, for messages. None if
    /// the format has no such file.
    fn config_key(&self) -> Option<&'static str> {
        None
    }

    /// Opens a preset that is a single file at this path. None if the file is not one.
    fn folder_of_file(&self, _path: &Path) -> Result<Option<Arc<dyn PresetFolder>>, PresetError> {
        Ok(None)
    }

    /// Opens a preset with this `config.json`, if there is one. None if the preset has another
    /// format. `preset` is its name in messages.
    fn open(
        &'static self,
        folder: &Arc<dyn PresetFolder>,
        preset: &str,
        config: Option<&Map<String, Value>>,
    ) -> Result<Option<Arc<dyn OpenedPreset>>, PresetError>;

    /// Names of all files in a folder of this format, except shards. Empty for a format of one file,
    /// which has any name.
    fn files(&self) -> &'static [&'static str] {
        &[]
    }

    /// Whether a file with this name is one of several with the weights.
    fn is_shard(&self, _name: &str) -> bool {
        false
    }

    /// Checks that a file of this format may replace what stands at this path. None if the format is
    /// a folder.
    fn check_replaced_file(&self, _path: &Path) -> Option<Result<(), FileError>> {
        None
    }

    /// Files of a tokenizer without a model. None if the format has no such files.
    fn lone_tokenizer(&self) -> Option<LoneTokenizer> {
        None
    }

    /// Public name of the format.
    fn name(&self) -> PresetFormat;

    /// Default size in bytes above which the weights are split. None if they never are.
    fn default_shard_size(&self) -> Option<u64> {
        None
    }

    /// Writes a folder, or a file if the format has one. Everything is written under temporary
    /// names first.
    fn write(
        &self,
        contents: Contents<'_>,
        path: &Path,
        options: &WriteOptions,
    ) -> Result<(), PresetError>;
}

/// Files of a tokenizer that was saved without a model.
#[derive(Clone, Copy)]
pub(crate) struct LoneTokenizer {
    /// Alternative sets of files by which the tokenizer is recognised.
    pub(crate) recognised_by: &'static [&'static [&'static str]],
    /// Reads the tokenizer from a folder with one of the sets.
    pub(crate) read: fn(&dyn PresetFolder, preset: &str) -> Result<Gpt2Tokenizer, PresetError>,
}

/// An opened preset of one format. Its header, if the format has one, was read and checked.
pub(crate) trait OpenedPreset: fmt::Debug + Send + Sync {
    /// Public name of the format.
    fn format(&self) -> PresetFormat;

    /// Config of the backbone, as in the files.
    fn config(&self) -> Result<Gpt2BackboneConfig, PresetError>;

    /// Opens the weights and lists their tensors, without reading any.
    fn checkpoint(&self, memory_map: bool) -> Result<Checkpoint, PresetError>;

    /// Whether any file of a tokenizer exists; the others are then required.
    fn has_tokenizer(&self) -> Result<bool, PresetError>;

    /// Reads the tokenizer.
    fn tokenizer(&self) -> Result<Gpt2Tokenizer, PresetError>;

    /// Whether there is a model. Else there is a tokenizer alone.
    fn has_model(&self) -> bool {
        true
    }

    /// Data for uploads. None if presets of this format cannot be uploaded.
    #[cfg_attr(not(feature = "hub"), allow(dead_code, reason = "nothing is uploaded then"))]
    fn publishing(&self) -> Option<&'static Publishing> {
        None
    }

    /// Settings of the preprocessor, if they were saved.
    fn preprocessor(&self) -> Result<Option<PreprocessorConfig>, PresetError> {
        Ok(None)
    }

    /// Preprocessor of the causal language model, as described by the files.
    fn task_preprocessor(&self) -> Result<TaskPreprocessor, PresetError> {
        Ok(TaskPreprocessor::Unspecified)
    }
}

/// Preprocessor of a task.
#[derive(Debug, PartialEq)]
pub(crate) enum TaskPreprocessor {
    /// No file describes the task, or the task is another one.
    Unspecified,
    /// The task was saved without a preprocessor.
    Absent,
    /// The task was saved with this preprocessor.
    Saved(PreprocessorConfig),
}
