//! Preset that is a single file on the disk.

use std::path::PathBuf;

use gpt2_files::{exists, regular_file};

use crate::error::PresetError;
use crate::source::preset_folder::PresetFolder;

/// A file of any name on the disk, with the internal name that its format uses.
#[derive(Debug)]
pub(crate) struct SingleFile {
    path: PathBuf,
    name: &'static str,
}

impl SingleFile {
    /// File at a path, with the internal name `name`.
    pub(crate) fn new(path: impl Into<PathBuf>, name: &'static str) -> Self {
        Self { path: path.into(), name }
    }
}

impl PresetFolder for SingleFile {
    fn display(&self, _name: &str) -> String {
        self.path.display().to_string()
    }

    fn fetch(&self, name: &str) -> Result<bool, PresetError> {
        Ok(name == self.name && exists(&self.path)?)
    }

    fn only_file(&self) -> Option<&'static str> {
        Some(self.name)
    }

    fn path(&self, name: &str) -> Result<Option<PathBuf>, PresetError> {
        if name != self.name {
            return Err(self.absent(name));
        }
        regular_file(&self.path)?;
        Ok(Some(self.path.clone()))
    }
}
