//! Checks of a folder before its upload.

use std::path::Path;
use std::sync::Arc;

use gpt2_backbone::Gpt2BackboneConfig;
use gpt2_hub::{UploadFile, files_to_upload};
use serde_json::{Map, Value};

use crate::error::PresetError;
use crate::formats::config_file::CONFIG_FILE;
use crate::formats::publishing::Publishing;
use crate::open::recognise::open_folder;
use crate::source::local_folder::LocalFolder;
use crate::source::preset_folder::PresetFolder;
use crate::weights::weights_names::{WeightsNames, shard_names};

/// Folder that can be loaded from a hub after its upload.
#[derive(Debug)]
pub(crate) struct CheckedPreset {
    /// The format's data for uploads.
    pub(crate) publishing: &'static Publishing,
    pub(crate) config: Gpt2BackboneConfig,
    /// Content of `config.json`.
    pub(crate) json: Map<String, Value>,
    /// Files to be uploaded, sorted by name.
    pub(crate) files: Vec<UploadFile>,
}

impl CheckedPreset {
    /// Checks a folder as KerasHub's `_validate_backbone` does (`utils/preset_utils.py`). Also
    /// checks that this library reads the model, that no shard is missing, and that no file is
    /// outside the folder.
    pub(crate) fn open(folder: &Path) -> Result<Self, PresetError> {
        if !folder.exists() {
            return Err(PresetError::PresetDirectoryMissing { path: folder.into() });
        }
        if !folder.is_dir() {
            return Err(PresetError::NotADirectory { path: folder.into() });
        }
        let name = folder.display().to_string();
        let files: Arc<dyn PresetFolder> = Arc::new(LocalFolder::new(folder));
        let json = read_config(&*files, folder)?;
        let preset = open_folder(&files, &name)?;
        let config = preset.config()?;
        config.validate()?;
        let uploaded = files_to_upload(folder)?;
        let publishing = preset.publishing().ok_or_else(|| missing_weights(folder))?;
        for weights in weights_files(&*files, publishing.weights, folder)? {
            // Existence alone is not enough: hidden files are not uploaded.
            if !uploaded.iter().any(|file| file.name() == weights) {
                return Err(missing_weights(folder));
            }
        }
        Ok(Self { publishing, config, json, files: uploaded })
    }

    /// File of this name.
    pub(crate) fn file(&self, name: &str) -> Option<&UploadFile> {
        self.files.iter().find(|file| file.name() == name)
    }
}

fn read_config(files: &dyn PresetFolder, folder: &Path) -> Result<Map<String, Value>, PresetError> {
    if !files.fetch(CONFIG_FILE)? {
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

/// Names of the weights files, including the index.
fn weights_files(
    files: &dyn PresetFolder,
    names: WeightsNames,
    folder: &Path,
) -> Result<Vec<String>, PresetError> {
    if files.fetch(names.whole)? {
        return Ok(vec![names.whole.to_owned()]);
    }
    if !files.fetch(names.index)? {
        return Err(missing_weights(folder));
    }
    let mut shards = shard_names(files, names.index, &folder.display().to_string())?;
    shards.push(names.index.to_owned());
    Ok(shards)
}

fn missing_weights(folder: &Path) -> PresetError {
    PresetError::IncompletePreset {
        path: folder.into(),
        file: "The weights file".to_owned(),
        remedy: "Expected `model.weights.h5`, `model.safetensors`, or an index with all its shards.",
    }
}
