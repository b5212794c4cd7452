//! KerasHub's `save_to_preset` on the types themselves.

use std::path::Path;

use gpt2_backbone::Gpt2Backbone;
use gpt2_task::{Gpt2CausalLm, Gpt2CausalLmPreprocessor};
use gpt2_tokenizer::Gpt2Tokenizer;

use crate::api::has_contents::HasContents;
use crate::api::save_options::SaveOptions;
use crate::error::PresetError;
use crate::formats::keras::write::write;
use crate::preset::Preset;

/// Saving as a preset of KerasHub.
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
///
/// Sealed: no other type can implement it.
pub trait SaveToPreset: HasContents {
    /// Writes the files that KerasHub 0.32 writes for this, under KerasHub's defaults.
    ///
    /// A LoRA is added to the kernels in the file, as by KerasHub; the model keeps it. To save it apart,
    /// see [`LoraWeights`](crate::LoraWeights).
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
    ) -> Result<(), PresetError> {
        self.with_contents(&mut |contents| write(contents, folder.as_ref(), &options.0))
    }
}

impl SaveToPreset for Gpt2CausalLm {}

/// Writes the files of a causal language model, or of a backbone if there is nothing else. Parameters
/// go from file to file one at a time, and no model is built.
///
/// Settings of preprocessor and tokenizer are kept.
impl SaveToPreset for Preset {}

impl SaveToPreset for Gpt2Backbone {}

impl SaveToPreset for Gpt2CausalLmPreprocessor {}

impl SaveToPreset for Gpt2Tokenizer {}
