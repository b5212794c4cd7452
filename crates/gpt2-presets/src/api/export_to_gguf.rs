//! Stage 12c: a model to one GGUF file, for llama.cpp.

use std::path::Path;

use gpt2_backbone::Gpt2Backbone;
use gpt2_task::Gpt2CausalLm;
use gpt2_tokenizer::Gpt2Tokenizer;

use crate::api::export_options::ExportOptions;
use crate::error::PresetError;
use crate::formats::expressible::{check_gguf_backbone, check_gguf_tokenizer};
use crate::formats::gguf::writer;
use crate::formats::tokenizer::check_vocabulary;
use crate::preset::Preset;
use crate::weights::placed_parameters::{Counted, Parameters, merged};
use gpt2_files::Staging;

/// What can be saved for llama.cpp.
///
/// ```
/// # #[cfg(feature = "bundled")] {
/// use burn::tensor::Device;
/// use gpt2_presets::{ExportToGguf, FromPresetOnDevice, Preset, PresetFormat};
/// use gpt2_task::Gpt2CausalLm;
///
/// let model = Gpt2CausalLm::from_preset("gpt2_tiny_shakespeare", &Device::flex())?;
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("shakespeare.gguf");
/// model.export_to_gguf(&path)?;
/// let saved = Preset::open(path.to_str().unwrap())?;
/// assert_eq!(saved.format(), PresetFormat::Gguf);
/// assert_eq!(saved.config(), model.backbone().config());
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait ExportToGguf {
    /// Writes one GGUF file with the model, and its tokenizer if there is one; `path` is the file's,
    /// and its name without extension becomes the model's name. Any extension will do for this
    /// library; `.gguf` is what other programs look for.
    ///
    /// Not kept are the dropout rate, which matters in training only, and the settings of a
    /// preprocessor: llama.cpp puts no start token in front of a prompt unless told so. A LoRA is
    /// added to the kernels. The file is replaced in one step.
    ///
    /// # Errors
    ///
    /// As [`export_to_gguf_with`](Self::export_to_gguf_with).
    fn export_to_gguf(&self, path: impl AsRef<Path>) -> Result<(), PresetError> {
        self.export_to_gguf_with(path, &ExportOptions::default())
    }

    /// As [`export_to_gguf`](Self::export_to_gguf), with a float type of your choice for kernels and
    /// token embeddings. All other parameters stay 32-bit floats, as llama.cpp needs them.
    ///
    /// # Errors
    ///
    /// [`FileError::Write`](gpt2_files::FileError::Write), [`PresetError::Inexpressible`] for a setting of the model or an
    /// option of the tokenizer that llama.cpp does not have, [`PresetError::VocabularyTooLarge`],
    /// and [`PresetError::Overflow`] for a weight that the float type does not have. An old file
    /// is as it was then.
    fn export_to_gguf_with(
        &self,
        path: impl AsRef<Path>,
        options: &ExportOptions,
    ) -> Result<(), PresetError>;
}

impl ExportToGguf for Gpt2CausalLm {
    fn export_to_gguf_with(
        &self,
        path: impl AsRef<Path>,
        options: &ExportOptions,
    ) -> Result<(), PresetError> {
        let tokenizer = self.preprocessor().map(|preprocessor| preprocessor.tokenizer());
        export(path.as_ref(), &mut merged(self.backbone()), tokenizer, options)
    }
}

/// The file has no tokenizer, so llama.cpp takes and gives token ids only.
impl ExportToGguf for Gpt2Backbone {
    fn export_to_gguf_with(
        &self,
        path: impl AsRef<Path>,
        options: &ExportOptions,
    ) -> Result<(), PresetError> {
        export(path.as_ref(), &mut merged(self), None, options)
    }
}

/// Parameters go from file to file one at a time, and no model is built. A preset without a
/// tokenizer gives a file without one.
impl ExportToGguf for Preset {
    fn export_to_gguf_with(
        &self,
        path: impl AsRef<Path>,
        options: &ExportOptions,
    ) -> Result<(), PresetError> {
        let tokenizer = self.exported_tokenizer()?;
        export(path.as_ref(), &mut self.parameters()?, tokenizer.as_ref(), options)
    }
}

fn export(
    path: &Path,
    parameters: &mut dyn Parameters,
    tokenizer: Option<&Gpt2Tokenizer>,
    options: &ExportOptions,
) -> Result<(), PresetError> {
    let mut parameters = Counted::new(parameters, &options.on_progress);
    let config = parameters.config();
    check_gguf_backbone(config)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if let Some(tokenizer) = tokenizer {
        check_gguf_tokenizer(tokenizer.config())?;
        check_vocabulary(&name, tokenizer.max_token_id(), config.vocabulary_size)?;
    }
    let mut files = Staging::new(path.parent().unwrap_or(Path::new("")))?;
    files.fallible_file(&name, |_, file| {
        writer::write(path, file, &mut parameters, tokenizer, options.dtype)
    })?;
    Ok(files.commit()?)
}
