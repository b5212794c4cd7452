//! Options of saving.

use gpt2_backbone::WeightDtype;
use gpt2_files::OnProgress;

use crate::error::PresetError;
use crate::formats::contents::WriteOptions;
use crate::formats::format::Format;
use crate::formats::preset_format::PresetFormat;
use crate::formats::writer_of;

/// Format and options of [`Save::save`](crate::Save::save).
///
/// ```
/// # #[cfg(feature = "bundled")] {
/// use gpt2_backbone::Gpt2Backbone;
/// use gpt2_presets::{FromPreset, Save, SaveOptions, WeightDtype};
///
/// let backbone = Gpt2Backbone::from_preset("gpt2_tiny_shakespeare")?;
/// let folder = tempfile::tempdir()?;
/// let options = SaveOptions::keras()
///     .with_dtype(WeightDtype::Bf16)
///     .with_max_shard_size(1024 * 1024);
/// backbone.save(folder.path(), options)?;
/// assert!(folder.path().join("model_00000.weights.h5").exists());
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct SaveOptions {
    format: PresetFormat,
    dtype: WeightDtype,
    max_shard_size: Option<u64>,
    on_progress: OnProgress,
}

impl SaveOptions {
    /// Defaults of a format: 32-bit floats, in one file up to the size of the format's own library.
    pub fn new(format: PresetFormat) -> Self {
        let on_progress = OnProgress::default();
        Self { format, dtype: WeightDtype::F32, max_shard_size: None, on_progress }
    }

    /// A KerasHub preset.
    pub fn keras() -> Self {
        Self::new(PresetFormat::Keras)
    }

    /// A model of the transformers library.
    pub fn transformers() -> Self {
        Self::new(PresetFormat::Transformers)
    }

    /// A GGUF file, for llama.cpp.
    pub fn gguf() -> Self {
        Self::new(PresetFormat::Gguf)
    }

    /// Sets the float type of the weights. Default: 32-bit floats.
    ///
    /// `config.json` names the type. KerasHub still loads 32-bit floats unless its `from_preset`
    /// gets another `dtype`; transformers 5 loads this type. In a GGUF file it is the type of
    /// kernels and token embeddings; other parameters stay 32-bit floats, which llama.cpp needs.
    #[must_use]
    pub fn with_dtype(mut self, dtype: WeightDtype) -> Self {
        self.dtype = dtype;
        self
    }

    /// Sets the size in bytes above which the weights are split into several files. Default:
    /// KerasHub's 10 GiB, more than GPT-2 XL has, or transformers' 50 GB. An error for a GGUF file.
    ///
    /// Headers do not count. In Keras' format the variables of a layer stay together. In
    /// transformers' the files are those of `save_pretrained(max_shard_size=…)`; a tensor above the
    /// size gets a file of its own.
    #[must_use]
    pub fn with_max_shard_size(mut self, max_shard_size: u64) -> Self {
        self.max_shard_size = Some(max_shard_size);
        self
    }

    /// Calls `on_progress(done, total)` after each parameter, in bytes of 32-bit floats.
    #[must_use]
    pub fn with_on_progress(
        mut self,
        on_progress: impl Fn(u64, u64) + Send + Sync + 'static,
    ) -> Self {
        self.on_progress = OnProgress::new(on_progress);
        self
    }

    /// Format of the files.
    pub fn format(&self) -> PresetFormat {
        self.format
    }

    pub(crate) fn writer(&self) -> &'static dyn Format {
        writer_of(self.format)
    }

    /// Options for the writer.
    pub(crate) fn write_options(&self) -> Result<WriteOptions, PresetError> {
        let max_shard_size = match (self.writer().default_shard_size(), self.max_shard_size) {
            (Some(default), size) => size.unwrap_or(default),
            (None, None) => u64::MAX,
            (None, Some(_)) => {
                return Err(PresetError::CannotSave {
                    what: "weights in several files",
                    format: self.format.name(),
                    remedy: "leave `max_shard_size` unset",
                });
            }
        };
        let on_progress = self.on_progress.clone();
        Ok(WriteOptions { dtype: self.dtype, max_shard_size, on_progress })
    }
}

/// The format with its defaults.
impl From<PresetFormat> for SaveOptions {
    fn from(format: PresetFormat) -> Self {
        Self::new(format)
    }
}

impl From<&Self> for SaveOptions {
    fn from(options: &Self) -> Self {
        options.clone()
    }
}
