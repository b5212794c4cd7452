//! How a model is exported to the transformers library.

use crate::WeightDtype;

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
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExportOptions {
    pub(crate) dtype: WeightDtype,
}

impl ExportOptions {
    /// 32-bit floats.
    pub fn new() -> Self {
        Self::default()
    }

    /// The float type of the weights. `config.json` names it, and transformers 5 loads the model in
    /// it.
    #[must_use]
    pub fn with_dtype(mut self, dtype: WeightDtype) -> Self {
        self.dtype = dtype;
        self
    }
}
