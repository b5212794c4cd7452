//! KerasHub's `from_preset` on the types themselves.

use gpt2_backbone::Gpt2Backbone;
use gpt2_task::{Gpt2CausalLm, Gpt2CausalLmPreprocessor};
use gpt2_tokenizer::Gpt2Tokenizer;

use crate::api::load_options::LoadOptions;
use crate::error::PresetError;
use crate::open::find::find;
use crate::open::hub_access::HubAccess;
use crate::open::recognise::{PresetOrTokenizer, preset_or_tokenizer};
use crate::preset::Preset;

/// Loading without a device. A tokenizer also comes from a folder that holds nothing else.
///
/// ```
/// # #[cfg(feature = "bundled")] {
/// use gpt2_presets::FromPreset;
/// use gpt2_tokenizer::Gpt2Tokenizer;
///
/// let tokenizer = Gpt2Tokenizer::from_preset("gpt2_tiny_shakespeare")?;
/// assert_eq!(tokenizer.vocabulary_size(), 1024);
/// # }
/// # Ok::<(), gpt2_presets::PresetError>(())
/// ```
pub trait FromPreset: Sized {
    /// Opens the preset (see [`Preset::open`]) and makes this of it.
    ///
    /// # Errors
    ///
    /// Those of [`Preset::open`], [`Preset::tokenizer`] and [`Preset::preprocessor`].
    fn from_preset(preset: &str) -> Result<Self, PresetError>;
}

/// Loading to a device.
///
/// ```
/// # #[cfg(feature = "bundled")] {
/// use burn::tensor::Device;
/// use gpt2_presets::FromPresetOnDevice;
/// use gpt2_task::Gpt2CausalLm;
///
/// let model = Gpt2CausalLm::from_preset("gpt2_tiny_shakespeare", &Device::flex())?;
/// # }
/// # Ok::<(), gpt2_presets::PresetError>(())
/// ```
pub trait FromPresetOnDevice: Sized {
    /// Opens the preset (see [`Preset::open`]) and makes this of it. `options` is a `&Device`, or
    /// [`LoadOptions`].
    ///
    /// # Errors
    ///
    /// Those of [`Preset::open`], [`Preset::backbone`] and [`Preset::causal_lm`].
    fn from_preset(preset: &str, options: impl Into<LoadOptions>) -> Result<Self, PresetError>;
}

impl FromPreset for Gpt2Tokenizer {
    fn from_preset(preset: &str) -> Result<Self, PresetError> {
        match preset_or_tokenizer(&find(preset, &HubAccess::default())?, preset)? {
            PresetOrTokenizer::Tokenizer(tokenizer) => Ok(tokenizer),
            PresetOrTokenizer::Preset(opened) => Preset::new(preset, opened)?.tokenizer(),
        }
    }
}

impl FromPreset for Gpt2CausalLmPreprocessor {
    fn from_preset(preset: &str) -> Result<Self, PresetError> {
        Preset::open(preset)?.preprocessor()
    }
}

impl FromPresetOnDevice for Gpt2Backbone {
    fn from_preset(preset: &str, options: impl Into<LoadOptions>) -> Result<Self, PresetError> {
        let options = options.into();
        Preset::open_through(preset, &options.hub)?.backbone(options)
    }
}

impl FromPresetOnDevice for Gpt2CausalLm {
    fn from_preset(preset: &str, options: impl Into<LoadOptions>) -> Result<Self, PresetError> {
        let options = options.into();
        Preset::open_through(preset, &options.hub)?.causal_lm(options)
    }
}
