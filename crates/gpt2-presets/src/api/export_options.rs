//! How a model is exported to the transformers library.

use gpt2_backbone::WeightDtype;
use gpt2_files::OnProgress;

/// How [`ExportToTransformers`](crate::ExportToTransformers) saves.
///
/// ```
/// # #[cfg(feature = "bundled")] {
/// use burn::tensor::Device;
/// use gpt2_presets::{ExportOptions, ExportToTransformers, FromPresetOnDevice, WeightDtype};
/// use gpt2_task::Gpt2CausalLm;
///
/// let model = Gpt2CausalLm::from_preset("gpt2_tiny_shakespeare", &Device::flex())?;
/// let folder = tempfile::tempdir()?;
/// let options = ExportOptions::new().with_dtype(WeightDtype::Bf16);
/// model.export_to_transformers_with(folder.path(), &options)?;
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct ExportOptions {
    pub(crate) dtype: WeightDtype,
    pub(crate) max_shard_size: u64,
    pub(crate) on_progress: OnProgress,
}

impl ExportOptions {
    /// 32-bit floats, in one file up to 50 GB, as transformers 5 writes them.
    pub fn new() -> Self {
        Self {
            dtype: WeightDtype::F32,
            max_shard_size: 50_000_000_000,
            on_progress: OnProgress::default(),
        }
    }

    /// The float type of the weights. `config.json` names it, and transformers 5 loads the model in
    /// it.
    #[must_use]
    pub fn with_dtype(mut self, dtype: WeightDtype) -> Self {
        self.dtype = dtype;
        self
    }

    /// The size in bytes up to which the weights go into one file, and above which they are split
    /// into the files that `save_pretrained(max_shard_size=…)` makes of them. A tensor that is
    /// larger alone gets a file alone; headers are not counted.
    #[must_use]
    pub fn with_max_shard_size(mut self, max_shard_size: u64) -> Self {
        self.max_shard_size = max_shard_size;
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

impl Default for ExportOptions {
    fn default() -> Self {
        Self::new()
    }
}
