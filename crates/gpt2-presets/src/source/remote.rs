//! Preset on a hub. The only module that reads from hubs.

use std::path::PathBuf;
use std::sync::Arc;

use gpt2_files::regular_file;
use gpt2_hub::{HubHandle, HubOptions, RemoteFolder};

use crate::error::PresetError;
use crate::source::preset_folder::PresetFolder;

/// A folder on a hub.
#[derive(Debug)]
pub(crate) struct Remote(Arc<dyn RemoteFolder>);

impl Remote {
    /// Folder of a preset that is available at each of these handles. Every preset has
    /// `marker_file`.
    pub(crate) fn open(
        preset: &str,
        handles: &[HubHandle],
        marker_file: &str,
        options: &HubOptions,
    ) -> Result<Self, PresetError> {
        Ok(Self(gpt2_hub::open(preset, handles, marker_file, options)?))
    }
}

impl PresetFolder for Remote {
    fn display(&self, name: &str) -> String {
        self.0.display(name)
    }

    fn fetch(&self, name: &str) -> Result<bool, PresetError> {
        Ok(self.0.fetch(name)?.is_some())
    }

    fn path(&self, name: &str) -> Result<Option<PathBuf>, PresetError> {
        let Some(path) = self.0.fetch(name)? else { return Err(self.absent(name)) };
        regular_file(&path)?;
        Ok(Some(path))
    }

    fn is_unknown(&self, error: &PresetError) -> bool {
        let PresetError::Hub(error) = error else { return false };
        error.is_out_of_reach() && self.0.uses_cache_alone()
    }

    fn has_cached_weights(&self) -> bool {
        let extensions = ["h5", "safetensors", "bin"];
        self.0.cached_files().iter().any(|path| {
            let extension = path.extension().and_then(|extension| extension.to_str());
            extension.is_some_and(|extension| extensions.contains(&extension))
        })
    }
}
