//! Output folder of a training.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use gpt2_presets::CheckpointFolder;

use super::arguments::Arguments;

/// Output folder of a training, and its folder `training`.
pub(super) struct OutputFolder {
    output: PathBuf,
    training: PathBuf,
}

/// Folders that a start has created, which are removed if it fails.
pub(super) struct Litter {
    training: Option<PathBuf>,
    /// Parent folders that were created, the innermost first.
    parents: Vec<PathBuf>,
}

impl OutputFolder {
    pub(super) fn new(output: &Path) -> Self {
        Self { output: output.into(), training: output.join("training") }
    }

    /// Path of a training's file or folder.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.training.join(name)
    }

    pub(super) fn checkpoint(&self) -> CheckpointFolder {
        CheckpointFolder::new(&self.training)
    }

    /// Returns an error if a new training would replace a preset.
    pub(super) fn check(&self, arguments: &Arguments) -> anyhow::Result<()> {
        let is_allowed = arguments.force || self.checkpoint().path().exists();
        ensure!(
            is_allowed || !self.output.join("config.json").exists(),
            "cannot write to {}: it has a preset already; pass --force to replace it",
            self.output.display()
        );
        Ok(())
    }

    /// Creates the folders.
    pub(super) fn create(&self) -> anyhow::Result<Litter> {
        let missing = self.output.ancestors();
        let missing = missing.take_while(|path| !path.as_os_str().is_empty() && !path.exists());
        let parents = missing.map(Path::to_path_buf).collect();
        let training = (!self.training.exists()).then(|| self.training.clone());
        let litter = Litter { training, parents };
        fs::create_dir_all(&self.training)
            .with_context(|| format!("cannot create {}", self.training.display()))?;
        Ok(litter)
    }

    /// Removes an earlier training's files, except the token ids of the texts.
    pub(super) fn restart(&self) -> anyhow::Result<()> {
        use gpt2_task::CheckpointStore as _;
        self.checkpoint().clear().map_err(anyhow::Error::from_boxed)?;
        for name in ["last", "best"] {
            remove(&self.file(name))?;
        }
        Ok(())
    }
}

impl Litter {
    /// Keeps the folders after all.
    pub(super) fn keep(&mut self) {
        (self.training, self.parents) = (None, Vec::new());
    }
}

impl Drop for Litter {
    fn drop(&mut self) {
        // An error here would hide the original error.
        if let Some(training) = &self.training {
            let _ = fs::remove_dir_all(training);
        }
        for parent in &self.parents {
            let _ = fs::remove_dir(parent);
        }
    }
}

/// Removes a folder if it exists.
pub(super) fn remove(folder: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}
