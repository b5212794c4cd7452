//! Kinds of files, for messages about malformed ones.

use crate::error::PresetError;

/// Kind of a file, for messages about a malformed one.
pub(crate) struct FileKind {
    /// Name, which follows "is not a valid".
    pub(crate) name: &'static str,
    /// Remedy for a malformed file.
    pub(crate) remedy: &'static str,
}

impl FileKind {
    /// Error for a malformed file. `object` is the part at fault, empty for the whole file.
    pub(crate) fn malformed(
        &self,
        file: impl Into<String>,
        object: impl Into<String>,
        detail: impl Into<String>,
    ) -> PresetError {
        let (file, object, detail) = (file.into(), object.into(), detail.into());
        PresetError::Malformed { format: self.name, file, object, detail, remedy: self.remedy }
    }
}
