//! Options of loading a preset.

use burn::tensor::Device;
use gpt2_backbone::{WeightDtype, parse_device};
use gpt2_files::OnProgress;

use crate::error::PresetError;
use crate::open::hub_access::HubAccess;
use crate::weights::load::LoadSettings;

/// Device of a loaded model, and the way of loading. A `&Device` alone converts to it.
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
    /// None: the CPU.
    device: Option<Device>,
    dtype: WeightDtype,
    memory_map: bool,
    check_finite: bool,
    on_progress: OnProgress,
    pub(crate) load_weights: bool,
    pub(crate) seed: u64,
    pub(crate) hub: HubAccess,
}

impl LoadOptions {
    /// The defaults on a device: weights are loaded, memory-mapped where possible, and checked.
    pub fn new(device: &Device) -> Self {
        Self::default().with_device(device)
    }

    /// Sets the device. Default: the CPU, as [`parse_device("cpu")`](gpt2_backbone::parse_device)
    /// opens it; in a build without a backend for CPUs that is an error when a model is loaded.
    #[must_use]
    pub fn with_device(mut self, device: &Device) -> Self {
        self.device = Some(device.clone());
        self
    }

    /// The float type of the model's weights, activations and caches, KerasHub's `dtype`: 32-bit
    /// floats unless set. With 16 bits a model takes half of the memory and generates faster on a
    /// GPU; normalisations and sums are computed in 32 bits all the same. It cannot be trained:
    /// for that, load 32-bit floats and compile with a mixed
    /// [`Precision`](gpt2_task::Precision).
    #[must_use]
    pub fn with_dtype(mut self, dtype: WeightDtype) -> Self {
        self.dtype = dtype;
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
        self.memory_map = memory_map;
        self
    }

    /// Whether every weight is checked to be finite. Costs one pass over the weights, which reads
    /// a mapped file at once instead of when it is needed.
    #[must_use]
    pub fn with_check_finite(mut self, check_finite: bool) -> Self {
        self.check_finite = check_finite;
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
        self.on_progress = OnProgress::new(on_progress);
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

    /// The options as the loader gets them, on a device that is open.
    pub(crate) fn settings(&self) -> Result<LoadSettings, PresetError> {
        let device = match &self.device {
            Some(device) => device.clone(),
            None => parse_device("cpu")?,
        };
        Ok(LoadSettings {
            device,
            dtype: self.dtype,
            memory_map: self.memory_map,
            check_finite: self.check_finite,
            on_progress: self.on_progress.clone(),
        })
    }
}

impl Default for LoadOptions {
    /// The defaults on the CPU.
    fn default() -> Self {
        Self {
            device: None,
            dtype: WeightDtype::F32,
            memory_map: true,
            check_finite: true,
            on_progress: OnProgress::default(),
            load_weights: true,
            seed: 0,
            hub: HubAccess::default(),
        }
    }
}

impl From<&Device> for LoadOptions {
    fn from(device: &Device) -> Self {
        Self::new(device)
    }
}

/// The defaults on the CPU, with these options of hubs.
#[cfg(feature = "hub")]
impl From<gpt2_hub::HubOptions> for LoadOptions {
    fn from(hub: gpt2_hub::HubOptions) -> Self {
        Self::default().with_hub(hub)
    }
}
