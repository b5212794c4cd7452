//! KerasHub's format: its presets, and the `.keras` files of Keras as such.

use std::path::Path;
use std::sync::Arc;

use crate::error::PresetError;
use crate::formats::config_file::CONFIG_FILE;
use crate::formats::folder_format::FolderFormat;
use crate::formats::format::{Format, LoneTokenizer};
use crate::formats::keras::archive::KerasArchive;
use crate::formats::keras::names::{
    MERGES_FILE, METADATA_FILE, PREPROCESSOR_CONFIG_FILE, TASK_CONFIG_FILE, TOKENIZER_CONFIG_FILE,
    VOCABULARY_FILE, WEIGHTS,
};
use crate::formats::keras::shards::is_shard;
use crate::formats::keras::weight_map::KERAS;
use crate::formats::keras::{config, tokenizer, write};
use crate::formats::preset_format::PresetFormat;
use crate::formats::publishing::Publishing;
use crate::source::preset_folder::PresetFolder;
use crate::tensors::hdf5::file::Hdf5File;
use crate::weights::checkpoint::Checkpoint;
use crate::weights::weights_names::WeightsNames;

/// The format.
pub(crate) static FORMAT: FolderFormat = FolderFormat {
    name: PresetFormat::Keras,
    weight_map: &KERAS,
    // The oldest KerasNLP wrote only `class_name`.
    config_keys: &["registered_name", "class_name"],
    config_key: "`registered_name` (KerasHub)",
    config: config::backbone_config,
    folder_of_file,
    checkpoint,
    files: &[
        CONFIG_FILE,
        METADATA_FILE,
        TASK_CONFIG_FILE,
        PREPROCESSOR_CONFIG_FILE,
        TOKENIZER_CONFIG_FILE,
        VOCABULARY_FILE,
        MERGES_FILE,
        WEIGHTS.whole,
        WEIGHTS.index,
    ],
    is_shard,
    tokenizer_files: &tokenizer::FILES,
    tokenizer: LoneTokenizer { recognised_by: &[&[VOCABULARY_FILE]], read: tokenizer::tokenizer },
    preprocessor: config::preprocessor_config,
    task_preprocessor: config::task_preprocessor,
    publishing: Publishing {
        weights: WEIGHTS,
        library: "keras-hub",
        introduction: "This is a [`GPT2` model](https://keras.io/api/keras_hub/models/gpt2) in \
                       the format of the KerasHub library and can be used with JAX, TensorFlow, \
                       and PyTorch backends.",
        settings: Some("config"),
        task_file: Some(TASK_CONFIG_FILE),
        usage: |_| String::new(),
    },
    // KerasHub's default.
    default_shard_size: 10 * 1024 * 1024 * 1024,
    write: write::write,
};

fn folder_of_file(path: &Path) -> Result<Option<Arc<dyn PresetFolder>>, PresetError> {
    if !KerasArchive::is_at(path) {
        return Ok(None);
    }
    Ok(Some(Arc::new(KerasArchive::open(path)?)))
}

fn checkpoint(
    folder: &dyn PresetFolder,
    preset: &str,
    memory_map: bool,
) -> Result<Checkpoint, PresetError> {
    let remedy = "download or save the preset again, or load it without weights";
    let found = WeightsNames::find(&[WEIGHTS], folder, preset, remedy)?;
    open_weights(folder, &found.files, memory_map)
}

/// Opens Keras weights files.
pub(crate) fn open_weights(
    folder: &dyn PresetFolder,
    names: &[String],
    memory_map: bool,
) -> Result<Checkpoint, PresetError> {
    Checkpoint::new(
        FORMAT.weight_map(),
        names.iter().map(|name| Hdf5File::open(folder, name, memory_map)),
    )
}
