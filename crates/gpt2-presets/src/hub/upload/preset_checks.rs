//! Upload stage 1: a folder on the disk to the files of it that are uploaded, once it is a preset.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use gpt2_backbone::Gpt2BackboneConfig;
use serde_json::{Map, Value};

use super::upload_file::UploadFile;
use crate::files::{PresetFiles, hub_blobs};
use crate::format::CONFIG_FILE;
use crate::preset::Preset;
use crate::shards::shard_names;
use crate::{PresetError, PresetFormat, keras_shards, transformers_shards};
use gpt2_files::{FileError, read_error};

/// How deep folders may lie in each other. A preset's are `assets/tokenizer`.
const MAX_DEPTH: usize = 16;

/// A folder that can be loaded from where it is uploaded to.
#[derive(Debug)]
pub(crate) struct CheckedPreset {
    /// Whether it is in KerasHub's format. Else it is in transformers': a folder with a
    /// `config.json` is one of the two.
    pub(crate) is_keras: bool,
    pub(crate) config: Gpt2BackboneConfig,
    /// `config.json`.
    pub(crate) json: Map<String, Value>,
    /// Sorted by name.
    pub(crate) files: Vec<UploadFile>,
}

impl CheckedPreset {
    /// Checks as KerasHub's `_validate_backbone` (`utils/preset_utils.py`), and that the model is
    /// one that this library reads, that no shard is missing and that nothing is outside.
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
        let uploaded = list(folder)?;
        let is_keras = preset.format() == PresetFormat::Keras;
        for weights in weights_files(&files, is_keras, &name)? {
            // That it exists is not enough: hidden files stay behind.
            if !uploaded.contains_key(&weights) {
                return Err(missing_weights(folder));
            }
        }
        let config = preset.config().clone();
        Ok(Self { is_keras, config, json, files: uploaded.into_values().collect() })
    }

    /// The file of this name.
    pub(crate) fn file(&self, name: &str) -> Option<&UploadFile> {
        self.files.iter().find(|file| file.name == name)
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

/// The names of the files that hold the weights, the index among them.
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

/// All files under `folder` that are uploaded, by their names in the repository.
fn list(folder: &Path) -> Result<BTreeMap<String, UploadFile>, PresetError> {
    let root = folder.canonicalize().map_err(read_error(folder))?;
    let mut found = BTreeMap::new();
    visit(&root, folder, "", 0, &mut found)?;
    Ok(found)
}

fn visit(
    root: &Path,
    folder: &Path,
    prefix: &str,
    depth: usize,
    found: &mut BTreeMap<String, UploadFile>,
) -> Result<(), PresetError> {
    if depth > MAX_DEPTH {
        return Err(refused(folder, "it lies too deep; a preset has two levels of folders"));
    }
    for entry in fs::read_dir(folder).map_err(read_error(folder))? {
        let entry = entry.map_err(read_error(folder))?;
        let path = entry.path();
        let name = entry.file_name();
        let Some(name) = name.to_str() else {
            return Err(refused(&path, "its name is not Unicode; rename it"));
        };
        if stays_behind(name) {
            continue;
        }
        if name.contains(['\\', ':']) || name.contains(char::is_control) {
            return Err(refused(&path, "its name has characters that no hub takes; rename it"));
        }
        let name = format!("{prefix}{name}");
        let link = entry.file_type().map_err(read_error(&path))?.is_symlink();
        if link {
            check_link(root, &path)?;
        }
        let metadata = fs::metadata(&path).map_err(read_error(&path))?;
        if metadata.is_dir() && !link {
            visit(root, &path, &format!("{name}/"), depth + 1, found)?;
        } else if metadata.is_file() {
            found.insert(name.clone(), UploadFile::on_disk(name, path, &metadata));
        } else {
            return Err(FileError::NotAFile { path }.into());
        }
    }
    Ok(())
}

/// Hidden files, and what an interrupted save or download left.
fn stays_behind(name: &str) -> bool {
    name.starts_with('.') || name.ends_with(".tmp") || name.ends_with(".incomplete")
}

/// A link may lead to another file of the folder; that of a hub's snapshot also to the hub's files.
fn check_link(root: &Path, path: &Path) -> Result<(), PresetError> {
    let target = path.canonicalize().map_err(read_error(path))?;
    let blobs: Option<PathBuf> = hub_blobs(root);
    let inside =
        target.starts_with(root) || (blobs.is_some() && target.parent() == blobs.as_deref());
    if inside {
        Ok(())
    } else {
        Err(refused(path, "it is a link out of the folder; replace it by the file itself"))
    }
}

fn refused(path: &Path, why: &'static str) -> PresetError {
    PresetError::NotUploadable { path: path.into(), why }
}
