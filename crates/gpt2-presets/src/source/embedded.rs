//! Preset within this library.

use std::path::PathBuf;

use bytes::Bytes;

use crate::error::PresetError;
use crate::source::preset_folder::PresetFolder;

/// Files within this library: names and contents.
#[derive(Debug)]
pub(crate) struct Embedded(pub(crate) &'static [(&'static str, &'static [u8])]);

impl PresetFolder for Embedded {
    fn display(&self, name: &str) -> String {
        name.to_owned()
    }

    fn fetch(&self, name: &str) -> Result<bool, PresetError> {
        Ok(self.memory(name).is_some())
    }

    fn path(&self, _name: &str) -> Result<Option<PathBuf>, PresetError> {
        Ok(None)
    }

    fn memory(&self, name: &str) -> Option<Bytes> {
        let found = self.0.iter().find(|(file, _)| *file == name);
        found.map(|(_, bytes)| Bytes::from_static(bytes))
    }
}
