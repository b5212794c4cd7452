//! Stage 6a: the index of a sharded checkpoint to the names of its files.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::error::PresetError;
use crate::formats::format::{invalid_json, read_object};
use crate::source::files::PresetFiles;

/// The files that an index names, each checked to lie in the preset's folder.
///
/// The index maps a tensor, or in Keras a layer, to a file or, where a layer straddles some, to a
/// list. Only the files are taken from it: which tensors they hold, they say themselves.
pub(crate) fn shard_names(
    files: &PresetFiles,
    index: &str,
    preset: &str,
) -> Result<Vec<String>, PresetError> {
    let json = read_object(files, index)?;
    let invalid = |detail: &str| invalid_json(files, index, detail);
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
    names.into_iter().map(|name| check(files, index, preset, name)).collect()
}

/// Whether this is the number of a shard in its name, as Keras and transformers write it.
pub(crate) fn is_shard_number(text: &str) -> bool {
    text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn check(
    files: &PresetFiles,
    index: &str,
    preset: &str,
    name: &str,
) -> Result<String, PresetError> {
    files.check_shard(index, name)?;
    if !files.has(name)? {
        let (preset, file) = (preset.to_owned(), name.to_owned());
        let remedy = "download all shards that the index names";
        return Err(PresetError::MissingFile { preset, file, remedy });
    }
    Ok(name.to_owned())
}
