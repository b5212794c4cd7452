//! Options of loading a preset.

use burn::tensor::Device;
use gpt2_backbone::WeightDtype;
use gpt2_files::OnProgress;

use crate::open::hub_access::HubAccess;
use crate::weights::load::LoadSettings;

/// Device of a loaded model, and the way of loading. A `&Device` alone will do.
///
/// ```
/// use burn::tensor::Device;
/// use gpt2_presets::{LoadOptions, Preset};
///
/// let options = LoadOptions::new(&Device::flex())
///     .with_memory_map(false)
///     .with_on_progress(|done, total| eprintln!("{done} of {total} bytes"));
/// # #[cfg(feature = "bundled")]
/// let backbone = Preset::open("gpt2_tiny_shakespeare")?.backbone(options)?;
/// # Ok::<(), gpt2_presets::PresetError>(())
/// ```
#[derive(Debug, Clone)]
pub struct LoadOptions {
    pub(crate) settings: LoadSettings,
    pub(crate) load_weights: bool,
    pub(crate) seed: u64,
    pub(crate) hub: HubAccess,
}

impl LoadOptions {
    /// The defaults: weights are loaded, memory-mapped where possible, and checked.
    pub fn new(device: &Device) -> Self {
        Self {
            settings: LoadSettings::new(device),
            load_weights: true,
            seed: 0,
            hub: HubAccess::default(),
        }
    }

    /// The float type of the model's weights, activations and caches, KerasHub's `dtype`: 32-bit
    /// floats unless set. With 16 bits a model takes half of the memory and generates faster on a
    /// GPU; normalisations and sums are computed in 32 bits all the same. It cannot be trained:
    /// for that, load 32-bit floats and compile with a mixed
    /// [`Precision`](gpt2_task::Precision).
    #[must_use]
    pub fn with_dtype(mut self, dtype: WeightDtype) -> Self {
        self.settings.dtype = dtype;
        self
    }

    /// Whether the weights are loaded, as in KerasHub. Without, the model is initialised at random
    /// from the [seed](Self::with_seed), and no file with weights is needed.
    #[must_use]
    pub fn with_load_weights(mut self, load_weights: bool) -> Self {
        self.load_weights = load_weights;
        self
    }

    /// Whether 32-bit tensors of a safetensors or Keras file, and those of a GGUF file that are no
    /// kernels, are used where they lie in the mapped file (on a CPU device), so that they are
    /// neither copied nor, until they are needed, read. A mapped Keras file is locked against other
    /// programs that would write to it by HDF5, where the file system has locks.
    ///
    /// With a map, the file must not be written to or truncated while the model lives: the process
    /// would see other weights, or be ended by the signal SIGBUS. To replace the file by renaming
    /// another over it is safe. Set this to false for files on which others may write, and in
    /// programs that generate for long: after
    /// [`reuse_memory`](gpt2_task::reuse_memory) copies lie in large pages, which are read faster
    /// than those of files, while loading takes longer.
    #[must_use]
    pub fn with_memory_map(mut self, memory_map: bool) -> Self {
        self.settings.memory_map = memory_map;
        self
    }

    /// Whether every weight is checked to be finite. Costs one pass over the weights, which reads
    /// a mapped file at once instead of when it is needed.
    #[must_use]
    pub fn with_check_finite(mut self, check_finite: bool) -> Self {
        self.settings.check_finite = check_finite;
        self
    }

    /// The seed of the random initialisation, for a model without weights.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Calls `on_progress(done, total)` after each parameter, in bytes of 32-bit floats.
    #[must_use]
    pub fn with_on_progress(
        mut self,
        on_progress: impl Fn(u64, u64) + Send + Sync + 'static,
    ) -> Self {
        self.settings.on_progress = OnProgress::new(on_progress);
        self
    }

    /// Options of the hubs for `from_preset`. Default: those of the environment. (A
    /// [`Preset`](crate::Preset) that is open keeps to what it was opened with.)
    #[cfg(feature = "hub")]
    #[must_use]
    pub fn with_hub(mut self, hub: gpt2_hub::HubOptions) -> Self {
        self.hub = Some(hub);
        self
    }
}

impl From<&Device> for LoadOptions {
    fn from(device: &Device) -> Self {
        Self::new(device)
    }
}
