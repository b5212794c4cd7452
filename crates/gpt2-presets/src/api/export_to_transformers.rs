//! KerasHub's `export_to_transformers` on the types themselves.

use std::path::Path;

use gpt2_backbone::Gpt2Backbone;
use gpt2_task::Gpt2CausalLm;
use gpt2_tokenizer::Gpt2Tokenizer;

use crate::api::export_options::ExportOptions;
use crate::api::has_contents::HasContents;
use crate::error::PresetError;
use crate::formats::transformers::write::write;
use crate::preset::Preset;

/// Export for the transformers library.
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
///
/// Sealed: no other type can implement it.
pub trait ExportToTransformers: HasContents {
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
    ) -> Result<(), PresetError> {
        self.with_contents(&mut |contents| write(contents, folder.as_ref(), &options.0))
    }
}

impl ExportToTransformers for Gpt2CausalLm {}

/// Parameters go from file to file one at a time, and no model is built. A preset without a
/// tokenizer gives a model without one.
impl ExportToTransformers for Preset {}

impl ExportToTransformers for Gpt2Backbone {}

impl ExportToTransformers for Gpt2Tokenizer {}
