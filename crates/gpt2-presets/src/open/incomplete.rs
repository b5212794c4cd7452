//! Folders that users take for a preset, and what they have instead.

use std::path::Path;

use crate::error::PresetError;
use crate::formats::FORMATS;
use crate::formats::tables::ASSETS;
use crate::open::folder_files::names;
use crate::source::checkpoint_file::CHECKPOINT_FILE;
use crate::source::preset_folder::PresetFolder;

/// Endings of files with weights: the folder is then a preset that has lost its config.
const WEIGHTS: [&str; 3] = [".h5", ".safetensors", ".bin"];

/// Folder in the output of `gpt2 train` with its checkpoint.
const TRAINING: &str = "training";
/// Folder in it with the model of the checkpoint.
const LAST: &str = "last";

/// Error for a folder without a config that has an unfinished training, or only a tokenizer. None
/// for any other folder, and for a model on a hub.
pub(crate) fn incomplete(
    folder: &dyn PresetFolder,
    preset: &str,
) -> Result<Option<PresetError>, PresetError> {
    let Some(directory) = folder.directory() else { return Ok(None) };
    if let Some(error) = unfinished(folder, directory)? {
        return Ok(Some(error));
    }
    if names(directory)?.iter().any(|name| WEIGHTS.iter().any(|ending| name.ends_with(ending))) {
        return Ok(None);
    }
    let tokenizers = FORMATS.iter().filter_map(|format| format.lone_tokenizer());
    let mut choices: Vec<_> = tokenizers.flat_map(|it| it.recognised_by).copied().collect();
    choices.push(&ASSETS);
    let found = folder.fetch_first_of(&choices)?;
    Ok(found.map(|_| PresetError::TokenizerAlone { preset: preset.to_owned() }))
}

fn unfinished(
    folder: &dyn PresetFolder,
    directory: &Path,
) -> Result<Option<PresetError>, PresetError> {
    if !folder.fetch(&format!("{TRAINING}/{CHECKPOINT_FILE}"))? {
        return Ok(None);
    }
    let last = directory.join(TRAINING).join(LAST);
    let last = last.is_dir().then_some(last);
    Ok(Some(PresetError::UnfinishedTraining { path: directory.into(), last }))
}
