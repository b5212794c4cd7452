//! KerasHub's format: its presets, and the `.keras` files of Keras as such.

use std::path::Path;
use std::sync::Arc;

use gpt2_backbone::Gpt2BackboneConfig;
use gpt2_task::PreprocessorConfig;
use gpt2_tokenizer::Gpt2Tokenizer;
use serde_json::{Map, Value};

use crate::error::PresetError;
use crate::formats::contents::{Contents, WriteOptions};
use crate::formats::format::{Format, LoneTokenizer, OpenedPreset, TaskPreprocessor};
use crate::formats::keras::archive::KerasArchive;
use crate::formats::keras::names::{TASK_CONFIG_FILE, VOCABULARY_FILE, WEIGHTS};
use crate::formats::keras::weight_map::KERAS;
use crate::formats::keras::{config, tokenizer, write};
use crate::formats::preset_format::PresetFormat;
use crate::formats::publishing::Publishing;
use crate::source::preset_folder::PresetFolder;
use crate::tensors::hdf5::file::Hdf5File;
use crate::weights::checkpoint::Checkpoint;
use crate::weights::weight_map::WeightMap;
use crate::weights::weights_names::WeightsNames;

/// The format.
#[derive(Debug)]
pub(crate) struct Keras;

/// Uploads.
static PUBLISHING: Publishing = Publishing {
    weights: WEIGHTS,
    library: "keras-hub",
    introduction: "This is a [`GPT2` model](https://keras.io/api/keras_hub/models/gpt2) in the \
                   format of the KerasHub library and can be used with JAX, TensorFlow, and \
                   PyTorch backends.",
    settings: Some("config"),
    task_file: Some(TASK_CONFIG_FILE),
    usage: |_| String::new(),
};

/// A preset in it.
#[derive(Debug)]
struct KerasPreset {
    folder: Arc<dyn PresetFolder>,
    name: String,
    config: Gpt2BackboneConfig,
}

impl Format for Keras {
    fn weight_map(&self) -> &'static WeightMap {
        &KERAS
    }

    fn config_key(&self) -> Option<&'static str> {
        Some("`registered_name` (KerasHub)")
    }

    fn folder_of_file(&self, path: &Path) -> Result<Option<Arc<dyn PresetFolder>>, PresetError> {
        if !KerasArchive::is_at(path) {
            return Ok(None);
        }
        Ok(Some(Arc::new(KerasArchive::open(path)?)))
    }

    fn open(
        &self,
        folder: &Arc<dyn PresetFolder>,
        preset: &str,
        config: Option<&Map<String, Value>>,
    ) -> Result<Option<Arc<dyn OpenedPreset>>, PresetError> {
        // `class_name` alone is what the oldest KerasNLP wrote.
        let is_keras = |config: &&Map<String, Value>| {
            config.contains_key("registered_name") || config.contains_key("class_name")
        };
        let Some(json) = config.filter(is_keras) else { return Ok(None) };
        let config = config::backbone_config(&**folder, json)?;
        let (folder, name) = (folder.clone(), preset.to_owned());
        Ok(Some(Arc::new(KerasPreset { folder, name, config })))
    }

    fn lone_tokenizer(&self) -> Option<LoneTokenizer> {
        Some(LoneTokenizer { recognised_by: &[&[VOCABULARY_FILE]], read: tokenizer::tokenizer })
    }

    fn name(&self) -> PresetFormat {
        PresetFormat::Keras
    }

    /// KerasHub's default.
    fn default_shard_size(&self) -> Option<u64> {
        Some(10 * 1024 * 1024 * 1024)
    }

    fn write(
        &self,
        contents: Contents<'_>,
        folder: &Path,
        options: &WriteOptions,
    ) -> Result<(), PresetError> {
        write::write(contents, folder, options)
    }
}

impl OpenedPreset for KerasPreset {
    fn format(&self) -> PresetFormat {
        PresetFormat::Keras
    }

    fn config(&self) -> Result<Gpt2BackboneConfig, PresetError> {
        Ok(self.config.clone())
    }

    fn checkpoint(&self, memory_map: bool) -> Result<Checkpoint, PresetError> {
        let remedy = "download or save the preset again, or load it without weights";
        let found = WeightsNames::find(&[WEIGHTS], &*self.folder, &self.name, remedy)?;
        open_weights(&*self.folder, &found.files, memory_map)
    }

    fn has_tokenizer(&self) -> Result<bool, PresetError> {
        self.folder.fetch_any(&tokenizer::FILES)
    }

    fn tokenizer(&self) -> Result<Gpt2Tokenizer, PresetError> {
        tokenizer::tokenizer(&*self.folder, &self.name)
    }

    fn publishing(&self) -> Option<&'static Publishing> {
        Some(&PUBLISHING)
    }

    fn preprocessor(&self) -> Result<Option<PreprocessorConfig>, PresetError> {
        config::preprocessor_config(&*self.folder)
    }

    fn task_preprocessor(&self) -> Result<TaskPreprocessor, PresetError> {
        config::task_preprocessor(&*self.folder)
    }
}

/// Opens weights files of Keras.
pub(crate) fn open_weights(
    folder: &dyn PresetFolder,
    names: &[String],
    memory_map: bool,
) -> Result<Checkpoint, PresetError> {
    Checkpoint::new(
        Keras.weight_map(),
        names.iter().map(|name| Hdf5File::open(folder, name, memory_map)),
    )
}
