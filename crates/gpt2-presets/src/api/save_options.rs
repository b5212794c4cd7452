//! How a preset of KerasHub is saved.

use gpt2_backbone::WeightDtype;
use gpt2_files::OnProgress;

/// How [`SaveToPreset`](crate::SaveToPreset) saves.
///
/// ```
/// # #[cfg(feature = "bundled")] {
/// use burn::tensor::Device;
/// use gpt2_backbone::Gpt2Backbone;
/// use gpt2_presets::{FromPresetOnDevice, SaveOptions, SaveToPreset, WeightDtype};
///
/// let backbone = Gpt2Backbone::from_preset("gpt2_tiny_shakespeare", &Device::flex())?;
/// let folder = tempfile::tempdir()?;
/// let options = SaveOptions::new()
///     .with_dtype(WeightDtype::Bf16)
///     .with_max_shard_size(1024 * 1024);
/// backbone.save_to_preset_with(folder.path(), &options)?;
/// assert!(folder.path().join("model_00000.weights.h5").exists());
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct SaveOptions {
    pub(crate) max_shard_size: u64,
    pub(crate) dtype: WeightDtype,
    pub(crate) on_progress: OnProgress,
}

impl SaveOptions {
    /// KerasHub's defaults.
    pub fn new() -> Self {
        let max_shard_size = 10 * 1024 * 1024 * 1024;
        Self { max_shard_size, dtype: WeightDtype::F32, on_progress: OnProgress::default() }
    }

    /// The size in bytes up to which the weights go into one file: 10 GiB, more than GPT-2 XL has.
    ///
    /// Larger ones are split into files of about that size: the variables of one layer stay
    /// together, and headers are not counted.
    #[must_use]
    pub fn with_max_shard_size(mut self, max_shard_size: u64) -> Self {
        self.max_shard_size = max_shard_size;
        self
    }

    /// The float type of the weights. `config.json` names it. Who loads them has 32-bit floats again,
    /// in KerasHub unless its `from_preset` is told another `dtype`.
    #[must_use]
    pub fn with_dtype(mut self, dtype: WeightDtype) -> Self {
        self.dtype = dtype;
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
}

impl Default for SaveOptions {
    fn default() -> Self {
        Self::new()
    }
}
