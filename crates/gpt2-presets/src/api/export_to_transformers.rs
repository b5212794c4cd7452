//! Stage 12b: KerasHub's `export_to_transformers` on the types themselves.

use std::path::Path;

use gpt2_backbone::Gpt2Backbone;
use gpt2_task::Gpt2CausalLm;
use gpt2_tokenizer::Gpt2Tokenizer;

use crate::api::export_options::ExportOptions;
use crate::error::PresetError;
use crate::formats::expressible::check_transformers_tokenizer;
use crate::formats::format::CONFIG_FILE;
use crate::formats::tokenizer::{MERGES, TOKENIZER, TOKENIZER_CONFIG, VOCABULARY};
use crate::formats::transformers::objects as transformers_objects;
use crate::formats::transformers::shards as transformers_shards;
use crate::formats::transformers::weights as safetensors_writer;
use crate::preset::Preset;
use crate::weights::placed_parameters::{Counted, Parameters, merged};
use gpt2_files::Staging;

/// What can be saved for the transformers library.
///
/// ```
/// # #[cfg(feature = "bundled")] {
/// use burn::tensor::Device;
/// use gpt2_presets::{ExportToTransformers, FromPresetOnDevice, Preset, PresetFormat};
/// use gpt2_task::Gpt2CausalLm;
///
/// let model = Gpt2CausalLm::from_preset("gpt2_tiny_shakespeare", &Device::flex())?;
/// let folder = tempfile::tempdir()?;
/// model.export_to_transformers(folder.path())?;
/// let saved = Preset::open(folder.path().to_str().unwrap())?;
/// assert_eq!(saved.format(), PresetFormat::Transformers);
/// assert_eq!(saved.config(), model.backbone().config());
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait ExportToTransformers {
    /// Writes the files of a `GPT2LMHeadModel`, of its tokenizer, or of both.
    ///
    /// Every setting of a backbone is written, unlike in KerasHub. The settings of a preprocessor
    /// have no place in this format. A LoRA is added to the kernels, and files are replaced, as by
    /// [`save_to_preset`](crate::SaveToPreset::save_to_preset).
    ///
    /// # Errors
    ///
    /// As [`export_to_transformers_with`](Self::export_to_transformers_with).
    fn export_to_transformers(&self, folder: impl AsRef<Path>) -> Result<(), PresetError> {
        self.export_to_transformers_with(folder, &ExportOptions::default())
    }

    /// As [`export_to_transformers`](Self::export_to_transformers), with a float type and a size of
    /// files of your choice. The options are about weights, so a tokenizer ignores them.
    ///
    /// # Errors
    ///
    /// [`FileError::Write`](gpt2_files::FileError::Write), [`PresetError::Inexpressible`] for an option of the tokenizer that
    /// the format does not have, and [`PresetError::Overflow`] for a weight that the float type
    /// does not have. The old files are as they were then.
    fn export_to_transformers_with(
        &self,
        folder: impl AsRef<Path>,
        options: &ExportOptions,
    ) -> Result<(), PresetError>;
}

impl ExportToTransformers for Gpt2CausalLm {
    fn export_to_transformers_with(
        &self,
        folder: impl AsRef<Path>,
        options: &ExportOptions,
    ) -> Result<(), PresetError> {
        let tokenizer = self.preprocessor().map(|preprocessor| preprocessor.tokenizer());
        export(folder.as_ref(), Some(&mut merged(self.backbone())), tokenizer, options)
    }
}

/// Parameters go from file to file one at a time, and no model is built. A preset without a
/// tokenizer gives a model without one.
impl ExportToTransformers for Preset {
    fn export_to_transformers_with(
        &self,
        folder: impl AsRef<Path>,
        options: &ExportOptions,
    ) -> Result<(), PresetError> {
        let tokenizer = self.exported_tokenizer()?;
        export(folder.as_ref(), Some(&mut self.parameters()?), tokenizer.as_ref(), options)
    }
}

impl ExportToTransformers for Gpt2Backbone {
    fn export_to_transformers_with(
        &self,
        folder: impl AsRef<Path>,
        options: &ExportOptions,
    ) -> Result<(), PresetError> {
        export(folder.as_ref(), Some(&mut merged(self)), None, options)
    }
}

impl ExportToTransformers for Gpt2Tokenizer {
    fn export_to_transformers_with(
        &self,
        folder: impl AsRef<Path>,
        options: &ExportOptions,
    ) -> Result<(), PresetError> {
        export(folder.as_ref(), None, Some(self), options)
    }
}

fn export(
    folder: &Path,
    parameters: Option<&mut dyn Parameters>,
    tokenizer: Option<&Gpt2Tokenizer>,
    options: &ExportOptions,
) -> Result<(), PresetError> {
    tokenizer.map_or(Ok(()), check_transformers_tokenizer)?;
    let mut files = Staging::new(folder)?;
    if let Some(tokenizer) = tokenizer {
        let positions = parameters.as_ref().map(|model| model.config().max_sequence_length);
        let config = transformers_objects::tokenizer_config(tokenizer, positions);
        files.text(VOCABULARY, &tokenizer.vocabulary().to_json())?;
        files.text(MERGES, &tokenizer.merges().to_text())?;
        files.json(TOKENIZER, &transformers_objects::tokenizer(tokenizer))?;
        files.json(TOKENIZER_CONFIG, &config)?;
    }
    if let Some(parameters) = parameters {
        stage_weights(&mut files, parameters, options)?;
        files
            .json("generation_config.json", &transformers_objects::generation_config(tokenizer))?;
        let config = transformers_objects::config(parameters.config(), tokenizer, options.dtype);
        files.json(CONFIG_FILE, &config)?;
    }
    Ok(files.commit()?)
}

fn stage_weights(
    files: &mut Staging,
    parameters: &mut dyn Parameters,
    options: &ExportOptions,
) -> Result<(), PresetError> {
    let mut parameters = Counted::new(parameters, &options.on_progress);
    let config = parameters.config();
    let shards = transformers_shards::plan(config, options.dtype, options.max_shard_size);
    let index = (shards.len() > 1).then(|| transformers_shards::index(config, &shards));
    for shard in &shards {
        let target = files.target(&shard.name);
        files.fallible_file(&shard.name, |_, file| {
            safetensors_writer::write(&target, file, &mut parameters, &shard.tensors, options.dtype)
        })?;
    }
    if let Some(index) = index {
        files.json(transformers_shards::INDEX, &index)?;
    }
    // Of an older export: a loader would take the whole file for the weights, or the index.
    Ok(files.obsolete_where(|name| {
        [transformers_shards::WHOLE, transformers_shards::INDEX].contains(&name)
            || transformers_shards::is_shard(name)
    })?)
}
