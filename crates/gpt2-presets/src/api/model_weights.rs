//! Keras' `save_weights` and `load_weights`, as a trait of the models.

use std::path::Path;

use gpt2_backbone::Gpt2Backbone;
use gpt2_files::Staging;
use gpt2_task::Gpt2CausalLm;

use crate::api::has_contents::HasContents;
use crate::api::save_options::SaveOptions;
use crate::error::PresetError;
use crate::formats::keras::archive::KerasArchive;
use crate::formats::keras::format::open_weights;
use crate::formats::keras::names::WEIGHTS;
use crate::formats::keras::shards::Storage;
use crate::formats::keras::weight_map::INSIDE_TASK;
use crate::formats::keras::weights_writer;
use crate::formats::preset_format::PresetFormat;
use crate::source::local_folder::LocalFolder;
use crate::weights::load::replace;
use crate::weights::placed_parameters::{Counted, merged};
use crate::weights::weights_names::shard_names;

/// Saves and loads weights in files of their own, without a config. Sealed.
///
/// ```
/// # #[cfg(feature = "bundled")] {
/// use gpt2_presets::{FromPreset, ModelWeights};
/// use gpt2_task::Gpt2CausalLm;
///
/// let mut model = Gpt2CausalLm::from_preset("gpt2_tiny_shakespeare")?;
/// let folder = tempfile::tempdir()?;
/// model.save_weights(folder.path().join("model.weights.h5"))?;
/// model.load_weights(folder.path().join("model.weights.h5"))?;
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait ModelWeights: HasContents {
    /// Writes the file that Keras' `save_weights` writes, without an optimizer's state.
    ///
    /// # Errors
    ///
    /// As [`save_weights_with`](Self::save_weights_with).
    fn save_weights(&self, path: impl AsRef<Path>) -> Result<(), PresetError> {
        self.save_weights_with(path, SaveOptions::keras())
    }

    /// Writes the parameters to one file if the path ends in `.weights.h5`. If it ends in
    /// `.weights.json`, writes shards of at most [`SaveOptions::with_max_shard_size`] next to it,
    /// and the list of them.
    ///
    /// All files are written under temporary names first. A LoRA is merged into the kernels in the
    /// files; the model keeps it.
    ///
    /// # Errors
    ///
    /// [`PresetError::WeightsFileName`], [`PresetError::CannotSave`] for options of a format other
    /// than Keras', [`FileError::Write`](gpt2_files::FileError::Write), and
    /// [`PresetError::Overflow`] for a weight outside the float type's range. The previous files
    /// are then unchanged.
    fn save_weights_with(
        &self,
        path: impl AsRef<Path>,
        options: impl Into<SaveOptions>,
    ) -> Result<(), PresetError>;

    /// Replaces all parameters by those of a file, which a task or a backbone has saved, in this or
    /// an older version. An optimizer's state in it is ignored. The second factor of a LoRA
    /// becomes zero, so that the LoRA has no effect until it is trained.
    ///
    /// The path ends in `.weights.h5`, `.weights.json` or `.keras`. The old parameters are freed
    /// once all new ones are in memory.
    ///
    /// # Errors
    ///
    /// [`PresetError::WeightsFileName`], [`PresetError::IncompleteWeights`] and
    /// [`PresetError::TensorShape`] for another model's weights, [`PresetError::NonFiniteWeight`],
    /// and the errors of reading a file. The model is then unchanged.
    fn load_weights(&mut self, path: impl AsRef<Path>) -> Result<(), PresetError>;
}

impl ModelWeights for Gpt2Backbone {
    fn save_weights_with(
        &self,
        path: impl AsRef<Path>,
        options: impl Into<SaveOptions>,
    ) -> Result<(), PresetError> {
        save(self, path.as_ref(), "", &options.into())
    }

    fn load_weights(&mut self, path: impl AsRef<Path>) -> Result<(), PresetError> {
        *self = loaded(self, path.as_ref())?;
        Ok(())
    }
}

impl ModelWeights for Gpt2CausalLm {
    fn save_weights_with(
        &self,
        path: impl AsRef<Path>,
        options: impl Into<SaveOptions>,
    ) -> Result<(), PresetError> {
        save(self.backbone(), path.as_ref(), INSIDE_TASK, &options.into())
    }

    fn load_weights(&mut self, path: impl AsRef<Path>) -> Result<(), PresetError> {
        let loaded = loaded(self.backbone(), path.as_ref())?;
        Ok(self.set_backbone(loaded)?)
    }
}

/// One weights file or a list of shards, by the file name's end.
enum Files<'a> {
    /// One file, with the name before `.weights.h5`.
    Whole(&'a str),
    /// Shards, with the name before `.weights.json`.
    Split(&'a str),
}

/// The folder, the file's name in it, and the kind of weights that the name means.
fn files_at(path: &Path) -> Result<(&Path, &str, Files<'_>), PresetError> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let folder = parent.unwrap_or(Path::new("."));
    if let Some(stem) = name.strip_suffix(".weights.h5") {
        Ok((folder, name, Files::Whole(stem)))
    } else if let Some(stem) = name.strip_suffix(".weights.json") {
        Ok((folder, name, Files::Split(stem)))
    } else {
        Err(PresetError::WeightsFileName { path: path.into() })
    }
}

fn save(
    backbone: &Gpt2Backbone,
    path: &Path,
    within: &'static str,
    options: &SaveOptions,
) -> Result<(), PresetError> {
    let (folder, name, kind) = files_at(path)?;
    if options.format() != PresetFormat::Keras {
        return Err(PresetError::CannotSave {
            what: "weights without a config",
            format: options.format().name(),
            remedy: "pass `SaveOptions::keras()`, or save the model",
        });
    }
    let (Files::Whole(stem) | Files::Split(stem)) = kind;
    let options = options.write_options()?;
    let storage = Storage { within, ..Storage::new(stem, &options) };
    let shards = match kind {
        Files::Whole(_) => vec![storage.whole(backbone.config())],
        Files::Split(_) => storage.split(backbone.config()),
    };
    let mut files = Staging::new(folder)?;
    let mut merged = merged(backbone);
    let mut parameters = Counted::new(&mut merged, &options.on_progress);
    for shard in &shards {
        weights_writer::stage(&mut files, &mut parameters, &storage, shard)?;
    }
    if let Files::Split(_) = kind {
        files.json(name, &storage.index(&shards))?;
    }
    Ok(files.commit()?)
}

/// Model with the parameters of a file.
fn loaded(backbone: &Gpt2Backbone, path: &Path) -> Result<Gpt2Backbone, PresetError> {
    if KerasArchive::is_at(path) {
        let archive = KerasArchive::open(path)?;
        return replace(backbone, open_weights(&archive, &[WEIGHTS.whole.to_owned()], false)?);
    }
    let (folder, name, kind) = files_at(path)?;
    let files = LocalFolder::new(folder);
    let names = match kind {
        Files::Whole(_) => vec![name.to_owned()],
        Files::Split(_) => shard_names(&files, name, &folder.display().to_string())?,
    };
    replace(backbone, open_weights(&files, &names, false)?)
}
