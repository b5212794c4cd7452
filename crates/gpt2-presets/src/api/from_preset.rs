//! Stage 8: KerasHub's `from_preset` on the types themselves.

use gpt2_backbone::Gpt2Backbone;
use gpt2_task::{Gpt2CausalLm, Gpt2CausalLmPreprocessor};
use gpt2_tokenizer::Gpt2Tokenizer;

use crate::api::load_options::LoadOptions;
use crate::error::PresetError;
use crate::formats::tokenizer::tokenizer_alone;
use crate::preset::Preset;

/// What a preset gives without a device. A tokenizer also comes from a folder that holds nothing
/// else.
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

/// What a preset gives on a device.
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
        match tokenizer_alone(preset)? {
            Some(tokenizer) => Ok(tokenizer),
            None => Preset::open(preset)?.tokenizer(),
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
