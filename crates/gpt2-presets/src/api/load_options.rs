//! Options of loading a preset.

use burn::tensor::Device;
use gpt2_backbone::{WeightDtype, parse_device};
use gpt2_files::OnProgress;

use crate::error::PresetError;
use crate::open::hub_access::HubAccess;
use crate::weights::load::LoadSettings;

/// Device of a loaded model, and how to load it. A `&Device` alone converts to it.
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
    /// Defaults on a device: weights are loaded, memory-mapped if possible, and checked.
    pub fn new(device: &Device) -> Self {
        Self::default().with_device(device)
    }

    /// Sets the device. Default: the CPU, as [`parse_device("cpu")`](gpt2_backbone::parse_device)
    /// opens it. Without a CPU backend in the build, loading a model is then an error.
    #[must_use]
    pub fn with_device(mut self, device: &Device) -> Self {
        self.device = Some(device.clone());
        self
    }

    /// Sets the float type of the model's weights, activations and caches, KerasHub's `dtype`.
    /// Default: 32 bits.
    ///
    /// With 16 bits a model takes half of the memory and generates faster on a GPU. Normalisations
    /// and sums are still computed in 32 bits. Such a model cannot be trained: load 32-bit floats
    /// and compile with a mixed [`Precision`](gpt2_task::Precision) instead.
    #[must_use]
    pub fn with_dtype(mut self, dtype: WeightDtype) -> Self {
        self.dtype = dtype;
        self
    }

    /// Sets whether the weights are loaded, as in KerasHub. Default: true. If not, the model is
    /// initialised at random from the [seed](Self::with_seed), and needs no weights file.
    #[must_use]
    pub fn with_load_weights(mut self, load_weights: bool) -> Self {
        self.load_weights = load_weights;
        self
    }

    /// Sets whether weights on a CPU are used in place from the mapped file, neither copied nor
    /// read before they are needed. Default: true.
    ///
    /// Applies to 32-bit tensors of safetensors and Keras files, and to those of GGUF files other
    /// than kernels. HDF5 locks a mapped Keras file against writers that use HDF5, if the file
    /// system has locks.
    ///
    /// While the model lives, a mapped file must not be written to or truncated: the process would
    /// read changed weights, or be killed by the signal SIGBUS. Replacing the file by a rename is
    /// safe.
    ///
    /// Set this to false for files that others may write, and in programs that generate for long.
    /// After [`reuse_memory`](gpt2_task::reuse_memory) copies have large pages, which are read
    /// faster than a file's, while loading takes longer.
    #[must_use]
    pub fn with_memory_map(mut self, memory_map: bool) -> Self {
        self.memory_map = memory_map;
        self
    }

    /// Sets whether every weight is checked to be finite. Default: true. The check reads all
    /// weights once, so that a mapped file is read when it is loaded.
    #[must_use]
    pub fn with_check_finite(mut self, check_finite: bool) -> Self {
        self.check_finite = check_finite;
        self
    }

    /// Sets the seed of the random initialisation, for a model without weights.
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

    /// Sets the options of hubs for `from_preset`. Default: those of the environment. An open
    /// [`Preset`](crate::Preset) keeps the options that it was opened with.
    #[cfg(feature = "hub")]
    #[must_use]
    pub fn with_hub(mut self, hub: gpt2_hub::HubOptions) -> Self {
        self.hub = Some(hub);
        self
    }

    /// Options for the loader, with an open device.
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
