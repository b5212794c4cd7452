//! Export of a model to one GGUF file, for llama.cpp.

use std::path::Path;

use gpt2_backbone::Gpt2Backbone;
use gpt2_task::Gpt2CausalLm;

use crate::api::export_options::ExportOptions;
use crate::api::has_contents::HasContents;
use crate::error::PresetError;
use crate::formats::gguf::write::write;
use crate::preset::Preset;

/// Export for llama.cpp.
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
///
/// Sealed: no other type can implement it.
pub trait ExportToGguf: HasContents {
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
    ) -> Result<(), PresetError> {
        self.with_contents(&mut |contents| write(contents, path.as_ref(), &options.0))
    }
}

impl ExportToGguf for Gpt2CausalLm {}

/// The file has no tokenizer, so llama.cpp takes and gives token ids only.
impl ExportToGguf for Gpt2Backbone {}

/// Parameters go from file to file one at a time, and no model is built. A preset without a
/// tokenizer gives a file without one.
impl ExportToGguf for Preset {}
