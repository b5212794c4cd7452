//! Saving in any format: KerasHub's `save_to_preset` and `export_to_transformers`, and GGUF.

use std::path::Path;

use gpt2_backbone::Gpt2Backbone;
use gpt2_task::{Gpt2CausalLm, Gpt2CausalLmPreprocessor};
use gpt2_tokenizer::Gpt2Tokenizer;

use crate::api::has_contents::HasContents;
use crate::api::save_options::SaveOptions;
use crate::error::PresetError;
use crate::preset::Preset;

/// Saving of models, preprocessors, tokenizers, and presets that are open. Sealed.
///
/// ```
/// # #[cfg(feature = "bundled")] {
/// use gpt2_presets::{FromPreset, Preset, PresetFormat, Save, SaveOptions, WeightDtype};
/// use gpt2_task::Gpt2CausalLm;
///
/// let model = Gpt2CausalLm::from_preset("gpt2_tiny_shakespeare")?;
/// let folder = tempfile::tempdir()?;
/// let path = |name| folder.path().join(name);
/// model.save_to_preset(path("keras"))?;
/// model.export_to_transformers(path("transformers"))?;
/// model.save(path("half.gguf"), SaveOptions::gguf().with_dtype(WeightDtype::F16))?;
///
/// let saved = Preset::open(path("transformers"))?;
/// assert_eq!(saved.format(), PresetFormat::Transformers);
/// assert_eq!(saved.config(), model.backbone().config());
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Save: HasContents {
    /// Writes the files of a format: a folder, or one file for GGUF. `options` is [`SaveOptions`], or
    /// a [`PresetFormat`](crate::PresetFormat) alone.
    ///
    /// A folder is created if need be; other files in it stay. All files are written under temporary
    /// names first, then renamed, `config.json` last: where it is new, the preset is complete. A
    /// LoRA is added to the kernels in the files, as by KerasHub; the model keeps it. To save it
    /// apart, see [`LoraWeights`](crate::LoraWeights).
    ///
    /// - [Keras](SaveOptions::keras): what KerasHub 0.32 writes.
    /// - [transformers](SaveOptions::transformers): a `GPT2LMHeadModel`, its tokenizer, or both.
    ///   Every setting of a backbone is written, unlike in KerasHub. The settings of a preprocessor
    ///   have no place in this format.
    /// - [GGUF](SaveOptions::gguf), for llama.cpp: one file, whose name without extension becomes the
    ///   model's name. Any extension will do for this library; `.gguf` is what other programs look
    ///   for. A backbone alone gives a file without tokenizer, with which llama.cpp takes and gives
    ///   token ids only. The dropout rate and the settings of a preprocessor are not kept.
    ///
    /// # Errors
    ///
    /// [`FileError::Write`](gpt2_files::FileError::Write); [`PresetError::CannotSave`] for options
    /// that the format does not have, or a tokenizer in a GGUF file of its own;
    /// [`PresetError::Inexpressible`] for a setting that the format does not have;
    /// [`PresetError::VocabularyTooLarge`]; [`PresetError::Overflow`] for a weight that the float
    /// type does not have. The old files are as they were then.
    fn save(
        &self,
        path: impl AsRef<Path>,
        options: impl Into<SaveOptions>,
    ) -> Result<(), PresetError> {
        let options = options.into();
        let (format, write) = (options.writer(), options.write_options()?);
        self.with_contents(&mut |contents| format.write(contents, path.as_ref(), &write))
    }

    /// Saves as a preset of KerasHub: [`save`](Self::save) with [`SaveOptions::keras`].
    ///
    /// # Errors
    ///
    /// As [`save`](Self::save).
    fn save_to_preset(&self, folder: impl AsRef<Path>) -> Result<(), PresetError> {
        self.save(folder, SaveOptions::keras())
    }

    /// Saves for the transformers library: [`save`](Self::save) with [`SaveOptions::transformers`].
    ///
    /// # Errors
    ///
    /// As [`save`](Self::save).
    fn export_to_transformers(&self, folder: impl AsRef<Path>) -> Result<(), PresetError> {
        self.save(folder, SaveOptions::transformers())
    }

    /// Saves for llama.cpp: [`save`](Self::save) with [`SaveOptions::gguf`].
    ///
    /// # Errors
    ///
    /// As [`save`](Self::save).
    fn export_to_gguf(&self, file: impl AsRef<Path>) -> Result<(), PresetError> {
        self.save(file, SaveOptions::gguf())
    }
}

impl Save for Gpt2CausalLm {}

impl Save for Gpt2Backbone {}

impl Save for Gpt2CausalLmPreprocessor {}

impl Save for Gpt2Tokenizer {}

/// Writes a causal language model, or a backbone if there is nothing else, with the settings of
/// preprocessor and tokenizer. Parameters go from file to file one at a time, and no model is built.
impl Save for Preset {}
