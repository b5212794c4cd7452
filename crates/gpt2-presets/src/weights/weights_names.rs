//! Names of a preset's weights files: one file, or the shards in an index.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::error::PresetError;
use crate::source::json_object::{JSON, read_object};
use crate::source::preset_folder::PresetFolder;

/// Names of weights files in one kind of container.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WeightsNames {
    /// Name of a single file.
    pub(crate) whole: &'static str,
    /// Name of the index of shards.
    pub(crate) index: &'static str,
}

/// The files found.
pub(crate) struct FoundWeights {
    /// Index of the [`WeightsNames`] in the choices.
    pub(crate) choice: usize,
    /// Names of the files, without the index.
    pub(crate) files: Vec<String>,
}

impl WeightsNames {
    /// Finds the files of the first choice that the preset has. `remedy` ends the error message if
    /// it has none.
    pub(crate) fn find(
        choices: &[Self],
        folder: &dyn PresetFolder,
        preset: &str,
        remedy: &'static str,
    ) -> Result<FoundWeights, PresetError> {
        let names: Vec<_> = choices.iter().flat_map(|it| [[it.whole], [it.index]]).collect();
        let wanted: Vec<&[&str]> = names.iter().map(|name| &name[..]).collect();
        let Some(found) = folder.fetch_first_of(&wanted)? else {
            let Self { whole, index } = choices[0];
            let file = format!("{whole}` or `{index}");
            return Err(PresetError::MissingFile { preset: preset.to_owned(), file, remedy });
        };
        let (choice, [name]) = (found / 2, names[found]);
        let is_index = !found.is_multiple_of(2);
        let files =
            if is_index { shard_names(folder, name, preset)? } else { vec![name.to_owned()] };
        Ok(FoundWeights { choice, files })
    }
}

/// Files in an index, each checked to be in the preset's folder.
///
/// The index maps a tensor, or in Keras a layer, to a file, or to a list of files for a layer in
/// several. Only the file names are used: each file lists its own tensors.
pub(crate) fn shard_names(
    folder: &dyn PresetFolder,
    index: &str,
    preset: &str,
) -> Result<Vec<String>, PresetError> {
    let json = read_object(folder, index)?;
    let invalid = |detail: &str| JSON.malformed(folder.display(index), "", detail);
    let Some(Value::Object(map)) = json.get("weight_map") else {
        return Err(invalid("`weight_map` must be an object"));
    };
    let mut names = BTreeSet::new();
    for value in map.values() {
        let shards = match value {
            Value::Array(shards) => shards.as_slice(),
            single => std::slice::from_ref(single),
        };
        for shard in shards {
            let Value::String(name) = shard else {
                return Err(invalid("`weight_map` must map to file names or lists of them"));
            };
            names.insert(name.as_str());
        }
    }
    if names.is_empty() {
        return Err(invalid("`weight_map` names no file"));
    }
    names.into_iter().map(|name| check_shard(folder, index, preset, name)).collect()
}

/// Whether a text is a shard's number, as Keras and transformers write it.
pub(crate) fn is_shard_number(text: &str) -> bool {
    text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Checks that a shard has a plain name inside the folder, and fetches it.
fn check_shard(
    folder: &dyn PresetFolder,
    index: &str,
    preset: &str,
    name: &str,
) -> Result<String, PresetError> {
    check_plain(name).and_then(|()| folder.check_inside(name)).map_err(|why| {
        let (index, name) = (folder.display(index), name.to_owned());
        PresetError::UnsafeShardName { index, name, why }
    })?;
    if !folder.fetch(name)? {
        let (preset, file) = (preset.to_owned(), name.to_owned());
        let remedy = "download all shards that the index names";
        return Err(PresetError::MissingFile { preset, file, remedy });
    }
    Ok(name.to_owned())
}

fn check_plain(name: &str) -> Result<(), &'static str> {
    if name.is_empty() || name.contains(['/', '\\', ':', '\0']) || name == "." || name == ".." {
        return Err("it is empty, relative, or has separators");
    }
    Ok(())
}
