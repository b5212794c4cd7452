//! Small models as files of bytes, and loaders that fetch the files that a reader of models
//! requests.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use gpt2_hub::{HubError, HubHandle, HubOptions, RemoteFolder};
use serde_json::{Value, json};
use tempfile::TempDir;

pub use crate::fakes::Files;

/// File that every model has.
pub const CONFIG: &str = "config.json";
/// Files that a model may lack. The models of these tests lack them.
const OPTIONAL: [&str; 3] = ["task.json", "preprocessor.json", "tokenizer_config.json"];
/// Files of each layout in the order in which a loader requests them, the weights last.
const KERAS: [&str; 7] = [
    CONFIG,
    "task.json",
    "preprocessor.json",
    "tokenizer.json",
    "assets/tokenizer/vocabulary.json",
    "assets/tokenizer/merges.txt",
    "model.weights.h5",
];
const TRANSFORMERS: [&str; 5] =
    [CONFIG, "tokenizer_config.json", "vocab.json", "merges.txt", "model.safetensors"];

const VOCABULARY: &str = r#"{"a": 0, "b": 1, "ab": 2, "<|endoftext|>": 3}"#;
const MERGES: &str = "#version: 0.2\na b\n";

/// Pseudo-random bytes.
pub fn noise(size: usize) -> Vec<u8> {
    (1..=size as u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

/// Files of a model in Keras' layout, and the subset that a loaded model consists of.
pub fn keras_preset() -> (Files, Files) {
    let config = json!({"class_name": "Model", "config": {"dropout": 0.1, "layers": [1, 2]}});
    preset(&[
        (CONFIG, config.to_string().as_bytes()),
        ("tokenizer.json", b"{}"),
        ("assets/tokenizer/vocabulary.json", VOCABULARY.as_bytes()),
        ("assets/tokenizer/merges.txt", MERGES.as_bytes()),
        ("model.weights.h5", &noise(5003)),
    ])
}

/// Files of a model in transformers' layout, and the subset that a loaded model consists of.
pub fn transformers_preset() -> (Files, Files) {
    preset(&[
        (CONFIG, json!({"model_type": "model", "n_layer": 2}).to_string().as_bytes()),
        ("vocab.json", VOCABULARY.as_bytes()),
        ("merges.txt", MERGES.as_bytes()),
        ("model.safetensors", &noise(4004)),
    ])
}

fn preset(files: &[(&str, &[u8])]) -> (Files, Files) {
    let owned = |files: &[(&str, &[u8])]| -> Files {
        files.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec())).collect()
    };
    (owned(files), owned(&[files[0], files[files.len() - 1]]))
}

/// Folder on the disk with these files.
pub fn folder_of(files: &Files) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write_files(folder.path(), files);
    folder
}

pub fn write_files(folder: &Path, files: &Files) {
    for (name, bytes) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// Opens a handle and fetches the model's config.
pub fn open(handle: &str, options: &HubOptions) -> Result<Arc<dyn RemoteFolder>, HubError> {
    let folder = gpt2_hub::open(handle, &[handle.parse::<HubHandle>()?], CONFIG, options)?;
    fetch(&*folder, CONFIG)?;
    Ok(folder)
}

/// Fetches a file that a model must have.
pub fn fetch(folder: &dyn RemoteFolder, name: &str) -> Result<Vec<u8>, HubError> {
    let Some(path) = folder.fetch(name)? else {
        let (folder, file) = (folder.display(""), name.to_owned());
        return Err(HubError::NoMarkerFile { folder, file });
    };
    Ok(fs::read(path).unwrap())
}

pub fn config_of(folder: &dyn RemoteFolder) -> Value {
    serde_json::from_slice(&fetch(folder, CONFIG).unwrap()).unwrap()
}

fn names(folder: &dyn RemoteFolder) -> &'static [&'static str] {
    match config_of(folder).get("model_type") {
        Some(_) => &TRANSFORMERS,
        None => &KERAS,
    }
}

/// Fetches the files that a loaded model consists of.
pub fn weights(folder: &dyn RemoteFolder) -> Result<Files, HubError> {
    let names = names(folder);
    let names = [CONFIG, names[names.len() - 1]];
    names.into_iter().map(|name| Ok((name.to_owned(), fetch(folder, name)?))).collect()
}

/// Fetches all files that a loader of the whole model requests, including optional ones. As in
/// gpt2-presets, an optional file counts as absent if no request is possible.
pub fn everything(folder: &dyn RemoteFolder) -> Result<Files, HubError> {
    for name in names(folder) {
        match folder.fetch(name) {
            Ok(found) if found.is_some() || OPTIONAL.contains(name) => {}
            Err(error)
                if OPTIONAL.contains(name)
                    && error.is_out_of_reach()
                    && folder.uses_cache_alone() => {}
            Ok(_) => panic!("`{name}` is absent"),
            Err(error) => return Err(error),
        }
    }
    weights(folder)
}

/// Opens a model and fetches its weights.
pub fn load_from(handle: &str, options: HubOptions) -> Result<Files, HubError> {
    weights(&*open(handle, &options)?)
}

/// Fetches the whole model, which must exist.
pub fn load_with(handle: &str, options: &HubOptions) -> Files {
    everything(&*open(handle, options).unwrap()).unwrap()
}
