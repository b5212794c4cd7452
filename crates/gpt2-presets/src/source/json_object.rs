//! JSON files of a preset.

use serde_json::{Map, Value};

use crate::error::PresetError;
use crate::file_kind::FileKind;
use crate::source::preset_folder::PresetFolder;

/// Kind of file, for messages.
pub(crate) const JSON: FileKind =
    FileKind { name: "JSON file of a preset", remedy: "download or export the preset again" };

/// Reads a JSON file whose outermost value is an object.
pub(crate) fn read_object(
    folder: &dyn PresetFolder,
    name: &str,
) -> Result<Map<String, Value>, PresetError> {
    let text = folder.read_text(name)?;
    // The parser limits the depth, so that deep nesting is an ordinary error.
    serde_json::from_str(&text)
        .map_err(|error| JSON.malformed(folder.display(name), "", error.to_string()))
}
