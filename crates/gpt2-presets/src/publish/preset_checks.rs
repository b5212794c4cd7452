//! Checks that a folder is a preset, before it is uploaded.

use std::path::Path;

use gpt2_backbone::Gpt2BackboneConfig;
use gpt2_hub::{UploadFile, files_to_upload};
use serde_json::{Map, Value};

use crate::error::PresetError;
use crate::formats::format::{CONFIG_FILE, PresetFormat};
use crate::formats::keras::shards as keras_shards;
use crate::formats::transformers::shards as transformers_shards;
use crate::preset::Preset;
use crate::source::files::PresetFiles;
use crate::weights::shard_index::shard_names;

/// Folder that can be loaded from the hub that it is uploaded to.
#[derive(Debug)]
pub(crate) struct CheckedPreset {
    /// Whether the format is KerasHub's. Otherwise it is transformers': a folder with a `config.json`
    /// has one of the two.
    pub(crate) is_keras: bool,
    pub(crate) config: Gpt2BackboneConfig,
    /// Content of `config.json`.
    pub(crate) json: Map<String, Value>,
    /// Files to be uploaded, sorted by name.
    pub(crate) files: Vec<UploadFile>,
}

impl CheckedPreset {
    /// Checks a folder as KerasHub's `_validate_backbone` (`utils/preset_utils.py`) does; and that this
    /// library reads the model, that no shard is missing and that nothing is outside.
    pub(crate) fn open(folder: &Path) -> Result<Self, PresetError> {
        if !folder.exists() {
            return Err(PresetError::PresetDirectoryMissing { path: folder.into() });
        }
        if !folder.is_dir() {
            return Err(PresetError::NotADirectory { path: folder.into() });
        }
        let name = folder.display().to_string();
        let files = PresetFiles::Folder(folder.into());
        let json = read_config(&files, folder)?;
        let preset = Preset::of_files(&name, files.clone())?;
        let uploaded = files_to_upload(folder)?;
        let is_keras = preset.format() == PresetFormat::Keras;
        for weights in weights_files(&files, is_keras, &name)? {
            // That it exists is not enough: hidden files stay behind.
            if !uploaded.iter().any(|file| file.name() == weights) {
                return Err(missing_weights(folder));
            }
        }
        let config = preset.config().clone();
        Ok(Self { is_keras, config, json, files: uploaded })
    }

    /// File of this name.
    pub(crate) fn file(&self, name: &str) -> Option<&UploadFile> {
        self.files.iter().find(|file| file.name() == name)
    }
}

fn read_config(files: &PresetFiles, folder: &Path) -> Result<Map<String, Value>, PresetError> {
    if !files.has(CONFIG_FILE)? {
        let remedy = "Create the preset with `save_to_preset` or `export_to_transformers`.";
        let file = format!("`{CONFIG_FILE}`");
        return Err(PresetError::IncompletePreset { path: folder.into(), file, remedy });
    }
    let text = files.read_text(CONFIG_FILE)?;
    serde_json::from_str(&text).map_err(|error| PresetError::InvalidConfigFile {
        path: folder.join(CONFIG_FILE),
        detail: error.to_string(),
    })
}

/// Names of the files that hold the weights, the index among them.
fn weights_files(
    files: &PresetFiles,
    is_keras: bool,
    preset: &str,
) -> Result<Vec<String>, PresetError> {
    let (single, index) = if is_keras {
        (keras_shards::WHOLE, keras_shards::INDEX)
    } else {
        (transformers_shards::WHOLE, transformers_shards::INDEX)
    };
    if files.has(single)? {
        return Ok(vec![single.to_owned()]);
    }
    if !files.has(index)? {
        return Err(missing_weights(Path::new(preset)));
    }
    let mut names = shard_names(files, index, preset)?;
    names.push(index.to_owned());
    Ok(names)
}

fn missing_weights(folder: &Path) -> PresetError {
    PresetError::IncompletePreset {
        path: folder.into(),
        file: "The weights file".to_owned(),
        remedy: "Expected `model.weights.h5`, `model.safetensors`, or an index with all its shards.",
    }
}
