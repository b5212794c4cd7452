//! JSON files of a preset.

use serde_json::{Map, Value};

use crate::error::PresetError;
use crate::file_kind::FileKind;
use crate::source::preset_folder::PresetFolder;

/// The format, in messages.
pub(crate) const JSON: FileKind =
    FileKind { name: "JSON file of a preset", remedy: "download or export the preset again" };

/// Reads a JSON file whose outermost value is an object.
pub(crate) fn read_object(
    folder: &dyn PresetFolder,
    name: &str,
) -> Result<Map<String, Value>, PresetError> {
    let text = folder.read_text(name)?;
    // The parser bounds the depth, so a deeply nested file is an error like any other.
    serde_json::from_str(&text)
        .map_err(|error| JSON.malformed(folder.display(name), "", error.to_string()))
}
