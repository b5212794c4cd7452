//! Saving in any format: KerasHub's `save_to_preset` and `export_to_transformers`, and GGUF.

use std::path::Path;

use gpt2_backbone::Gpt2Backbone;
use gpt2_task::{Gpt2CausalLm, Gpt2CausalLmPreprocessor};
use gpt2_tokenizer::Gpt2Tokenizer;

use crate::api::has_contents::HasContents;
use crate::api::save_options::SaveOptions;
use crate::error::PresetError;
use crate::preset::Preset;

/// Saves models, preprocessors, tokenizers and open presets. Sealed.
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
    /// Writes the files of a format: a folder, or one file for GGUF. `options` is [`SaveOptions`],
    /// or a [`PresetFormat`](crate::PresetFormat) alone.
    ///
    /// A missing folder is created; other files in a folder stay. All files are written under
    /// temporary names first, then renamed, `config.json` last: once it is new, the preset is
    /// complete.
    ///
    /// A LoRA is merged into the kernels in the files, as by KerasHub; the model keeps it. To save
    /// it separately, see [`LoraWeights`](crate::LoraWeights).
    ///
    /// - [Keras](SaveOptions::keras): the files of KerasHub 0.32.
    /// - [transformers](SaveOptions::transformers): a `GPT2LMHeadModel`, its tokenizer, or both.
    ///   All settings of a backbone are written, unlike in KerasHub. This format has no settings of
    ///   a preprocessor.
    /// - [GGUF](SaveOptions::gguf), for llama.cpp: one file, whose name without extension becomes
    ///   the model's name. This library accepts any extension; other programs expect `.gguf`. A
    ///   backbone alone gives a file without tokenizer, with which llama.cpp handles only token
    ///   ids. The dropout rate and a preprocessor's settings are lost.
    ///
    /// # Errors
    ///
    /// [`FileError::Write`](gpt2_files::FileError::Write).
    /// [`FileError::Precious`](gpt2_files::FileError::Precious) for a GGUF file in place of a folder
    /// or of a file of another format. [`PresetError::CannotSave`] for options
    /// that the format does not have, or a tokenizer alone as GGUF. [`PresetError::Inexpressible`]
    /// for a setting that the format does not have. [`PresetError::VocabularyTooLarge`].
    /// [`PresetError::Overflow`] for a weight outside the float type's range. The previous files
    /// are then unchanged.
    fn save(
        &self,
        path: impl AsRef<Path>,
        options: impl Into<SaveOptions>,
    ) -> Result<(), PresetError> {
        let options = options.into();
        let (format, write) = (options.writer(), options.write_options()?);
        self.with_contents(&mut |contents| format.write(contents, path.as_ref(), &write))
    }

    /// Saves a KerasHub preset: [`save`](Self::save) with [`SaveOptions::keras`].
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

/// Writes a causal language model, or else a backbone, with the settings of preprocessor and
/// tokenizer. Parameters are copied from file to file, one at a time; no model is built.
impl Save for Preset {}
