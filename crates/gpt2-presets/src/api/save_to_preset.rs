//! Stage 12a: KerasHub's `save_to_preset` on the types themselves.

use std::path::Path;

use gpt2_backbone::Gpt2Backbone;
use gpt2_task::{Gpt2CausalLm, Gpt2CausalLmPreprocessor};
use gpt2_tokenizer::Gpt2Tokenizer;

use crate::api::save_options::SaveOptions;
use crate::error::PresetError;
use crate::formats::format::CONFIG_FILE;
use crate::formats::keras::config::{
    METADATA_FILE, PREPROCESSOR_CONFIG_FILE, TASK_CONFIG_FILE, TOKENIZER_CONFIG_FILE,
};
use crate::formats::keras::objects as keras_objects;
use crate::formats::keras::shards as keras_shards;
use crate::formats::keras::shards::Storage;
use crate::formats::tokenizer::{KERAS_MERGES, KERAS_VOCABULARY};
use crate::preset::Preset;
use crate::tensors::hdf5::writer as hdf5_writer;
use crate::weights::placed_parameters::{Counted, Parameters, merged};
use gpt2_files::Staging;

/// What can be saved as a preset of KerasHub.
///
/// ```
/// # #[cfg(feature = "bundled")] {
/// use burn::tensor::Device;
/// use gpt2_presets::{FromPresetOnDevice, SaveToPreset};
/// use gpt2_task::Gpt2CausalLm;
///
/// let model = Gpt2CausalLm::from_preset("gpt2_tiny_shakespeare", &Device::flex())?;
/// let folder = tempfile::tempdir()?;
/// model.save_to_preset(folder.path())?;
/// let saved = folder.path().to_str().unwrap();
/// let again = Gpt2CausalLm::from_preset(saved, &Device::flex())?;
/// assert_eq!(again.backbone().config(), model.backbone().config());
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait SaveToPreset {
    /// Writes the files that KerasHub 0.32 writes for this, under KerasHub's defaults.
    ///
    /// What a LoRA has learned is added to the kernels in the file, as KerasHub does; the model keeps
    /// its LoRA. To save that apart, see [`LoraWeights`](crate::LoraWeights).
    ///
    /// # Errors
    ///
    /// As [`save_to_preset_with`](Self::save_to_preset_with).
    fn save_to_preset(&self, folder: impl AsRef<Path>) -> Result<(), PresetError> {
        self.save_to_preset_with(folder, &SaveOptions::default())
    }

    /// Writes the files that KerasHub 0.32 writes for this. The options are about weights, so a
    /// tokenizer or a preprocessor ignores them.
    ///
    /// The folder is created if need be; other files in it stay. All files are written under
    /// temporary names first, then renamed, `config.json` last: where it is new, the preset is
    /// complete. On an error the old files are as they were.
    ///
    /// # Errors
    ///
    /// [`FileError::Write`](gpt2_files::FileError::Write), [`PresetError::Inexpressible`] for a setting that KerasHub does not
    /// have, and [`PresetError::Overflow`] for a weight that the float type does not have. The old
    /// files are as they were then.
    fn save_to_preset_with(
        &self,
        folder: impl AsRef<Path>,
        options: &SaveOptions,
    ) -> Result<(), PresetError>;
}

impl SaveToPreset for Gpt2CausalLm {
    fn save_to_preset_with(
        &self,
        folder: impl AsRef<Path>,
        options: &SaveOptions,
    ) -> Result<(), PresetError> {
        let mut parameters = merged(self.backbone());
        save_task(folder.as_ref(), &mut parameters, self.preprocessor(), options)
    }
}

/// The files of a causal language model, or of a backbone where there is nothing else: parameters
/// go from file to file one at a time, and no model is built.
///
/// Settings of preprocessor and tokenizer are kept.
impl SaveToPreset for Preset {
    fn save_to_preset_with(
        &self,
        folder: impl AsRef<Path>,
        options: &SaveOptions,
    ) -> Result<(), PresetError> {
        let folder = folder.as_ref();
        if self.is_backbone_alone()? {
            return save_backbone(folder, &mut self.parameters()?, options);
        }
        let preprocessor = self.task_preprocessor()?;
        save_task(folder, &mut self.parameters()?, preprocessor.as_ref(), options)
    }
}

impl SaveToPreset for Gpt2Backbone {
    fn save_to_preset_with(
        &self,
        folder: impl AsRef<Path>,
        options: &SaveOptions,
    ) -> Result<(), PresetError> {
        save_backbone(folder.as_ref(), &mut merged(self), options)
    }
}

impl SaveToPreset for Gpt2CausalLmPreprocessor {
    fn save_to_preset_with(
        &self,
        folder: impl AsRef<Path>,
        _options: &SaveOptions,
    ) -> Result<(), PresetError> {
        keras_objects::preprocessor(self)?;
        let mut files = Staging::new(folder.as_ref())?;
        stage_preprocessor(&mut files, self)?;
        Ok(files.commit()?)
    }
}

impl SaveToPreset for Gpt2Tokenizer {
    fn save_to_preset_with(
        &self,
        folder: impl AsRef<Path>,
        _options: &SaveOptions,
    ) -> Result<(), PresetError> {
        keras_objects::tokenizer(self)?;
        let mut files = Staging::new(folder.as_ref())?;
        stage_tokenizer(&mut files, self)?;
        Ok(files.commit()?)
    }
}

fn save_task(
    folder: &Path,
    parameters: &mut dyn Parameters,
    preprocessor: Option<&Gpt2CausalLmPreprocessor>,
    options: &SaveOptions,
) -> Result<(), PresetError> {
    let task = keras_objects::task(parameters.config(), preprocessor, options.dtype)?;
    let mut files = Staging::new(folder)?;
    files.json(TASK_CONFIG_FILE, &task)?;
    if let Some(preprocessor) = preprocessor {
        stage_preprocessor(&mut files, preprocessor)?;
    }
    stage_backbone(&mut files, parameters, options)?;
    Ok(files.commit()?)
}

fn save_backbone(
    folder: &Path,
    parameters: &mut dyn Parameters,
    options: &SaveOptions,
) -> Result<(), PresetError> {
    keras_objects::backbone(parameters.config(), options.dtype)?;
    let mut files = Staging::new(folder)?;
    stage_backbone(&mut files, parameters, options)?;
    Ok(files.commit()?)
}

fn stage_backbone(
    files: &mut Staging,
    parameters: &mut dyn Parameters,
    options: &SaveOptions,
) -> Result<(), PresetError> {
    let mut parameters = Counted::new(parameters, &options.on_progress);
    files.json(METADATA_FILE, &keras_objects::metadata(parameters.config()))?;
    let storage = Storage::new("model", options);
    let shards = storage.plan(parameters.config());
    for shard in &shards {
        let target = files.target(&shard.name);
        files.fallible_file(&shard.name, |path, _| {
            hdf5_writer::write(&target, path, &mut parameters, &storage, shard)
        })?;
    }
    if shards.len() > 1 {
        files.json(keras_shards::INDEX, &storage.index(&shards))?;
    }
    // What an older save left: loaders would prefer the whole file, and nobody would look at the rest.
    files.obsolete_where(|name| {
        [keras_shards::WHOLE, keras_shards::INDEX].contains(&name) || keras_shards::is_shard(name)
    })?;
    let config = keras_objects::backbone(parameters.config(), options.dtype)?;
    Ok(files.json(CONFIG_FILE, &config)?)
}

fn stage_preprocessor(
    files: &mut Staging,
    preprocessor: &Gpt2CausalLmPreprocessor,
) -> Result<(), PresetError> {
    files.json(PREPROCESSOR_CONFIG_FILE, &keras_objects::preprocessor(preprocessor)?)?;
    stage_tokenizer(files, preprocessor.tokenizer())
}

fn stage_tokenizer(files: &mut Staging, tokenizer: &Gpt2Tokenizer) -> Result<(), PresetError> {
    files.text(KERAS_VOCABULARY, &tokenizer.vocabulary().to_json())?;
    files.text(KERAS_MERGES, &keras_objects::merges(tokenizer.merges()))?;
    Ok(files.json(TOKENIZER_CONFIG_FILE, &keras_objects::tokenizer(tokenizer)?)?)
}
