//! Traits of a format and of a preset in it.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use gpt2_backbone::Gpt2BackboneConfig;
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

/// A format of presets. `formats/mod.rs` lists those that are recognised.
pub(crate) trait Format: fmt::Debug + Sync {
    /// Names of the tensors.
    fn weight_map(&self) -> &'static WeightMap;

    /// The key by which `config.json` is recognised, and the library that writes it, for messages.
    /// None if the format has no such file.
    fn config_key(&self) -> Option<&'static str> {
        None
    }

    /// The files of a preset that is one file at this path. None if it is no such file.
    fn folder_of_file(&self, _path: &Path) -> Result<Option<Arc<dyn PresetFolder>>, PresetError> {
        Ok(None)
    }

    /// Opens a preset, whose `config.json` is `config` if there is one. None if it has another
    /// format. `preset` is its name in messages.
    fn open(
        &'static self,
        folder: &Arc<dyn PresetFolder>,
        preset: &str,
        config: Option<&Map<String, Value>>,
    ) -> Result<Option<Arc<dyn OpenedPreset>>, PresetError>;

    /// Files of a tokenizer that was saved without a model. None if the format has no such.
    fn lone_tokenizer(&self) -> Option<LoneTokenizer> {
        None
    }

    /// The format's public name.
    fn name(&self) -> PresetFormat;

    /// Size in bytes up to which the weights go into one file unless the user sets it. None if they
    /// are never split.
    fn default_shard_size(&self) -> Option<u64> {
        None
    }

    /// Writes a folder, or a file if the format has one. All is written under temporary names first.
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
    /// Files by which it is recognised, in any of these choices.
    pub(crate) recognised_by: &'static [&'static [&'static str]],
    /// Reads it from a folder that has one of the choices.
    pub(crate) read: fn(&dyn PresetFolder, preset: &str) -> Result<Gpt2Tokenizer, PresetError>,
}

/// A preset of one format. Its header, if the format has one, was read and checked.
pub(crate) trait OpenedPreset: fmt::Debug + Send + Sync {
    /// The format's public name.
    fn format(&self) -> PresetFormat;

    /// Config of the backbone, as the files have it.
    fn config(&self) -> Result<Gpt2BackboneConfig, PresetError>;

    /// Opens the weights and lists their tensors; reads none.
    fn checkpoint(&self, memory_map: bool) -> Result<Checkpoint, PresetError>;

    /// Whether there is any file of a tokenizer, so that the rest is expected too.
    fn has_tokenizer(&self) -> Result<bool, PresetError>;

    /// Reads the tokenizer.
    fn tokenizer(&self) -> Result<Gpt2Tokenizer, PresetError>;

    /// Whether there is a model, and not a tokenizer alone.
    fn has_model(&self) -> bool {
        true
    }

    /// Data for an upload. None if presets of this format are not uploaded.
    #[cfg_attr(not(feature = "hub"), allow(dead_code, reason = "nothing is uploaded then"))]
    fn publishing(&self) -> Option<&'static Publishing> {
        None
    }

    /// Settings of the preprocessor, if they were saved.
    fn preprocessor(&self) -> Result<Option<PreprocessorConfig>, PresetError> {
        Ok(None)
    }

    /// Preprocessor of the causal language model, as far as the files say.
    fn task_preprocessor(&self) -> Result<TaskPreprocessor, PresetError> {
        Ok(TaskPreprocessor::Unspecified)
    }
}

/// Preprocessor of a task.
#[derive(Debug, PartialEq)]
pub(crate) enum TaskPreprocessor {
    /// No file describes the task, or it is another one.
    Unspecified,
    /// The task was saved without one.
    Absent,
    /// The task was saved with this one.
    Saved(PreprocessorConfig),
}
