//! KerasHub's `from_preset`, as a trait of the loaded types.

use std::path::Path;

use gpt2_backbone::Gpt2Backbone;
use gpt2_task::{Gpt2CausalLm, Gpt2CausalLmPreprocessor};
use gpt2_tokenizer::Gpt2Tokenizer;

use crate::api::load_options::LoadOptions;
use crate::error::PresetError;
use crate::open::find::find;
use crate::open::recognise::{PresetOrTokenizer, preset_or_tokenizer};
use crate::preset::Preset;

/// Loads models, preprocessors and tokenizers. Sealed.
///
/// ```
/// # #[cfg(feature = "bundled")] {
/// use gpt2_presets::{FromPreset, LoadOptions};
/// use gpt2_task::Gpt2CausalLm;
/// use gpt2_tokenizer::Gpt2Tokenizer;
///
/// let model = Gpt2CausalLm::from_preset("gpt2_tiny_shakespeare")?;
/// let tokenizer = Gpt2Tokenizer::from_preset("gpt2_tiny_shakespeare")?;
/// assert_eq!(tokenizer.vocabulary_size(), 1024);
///
/// // On another device, or with other options.
/// let device = gpt2_backbone::parse_device("cpu")?;
/// let model = Gpt2CausalLm::from_preset_with("gpt2_tiny_shakespeare", &device)?;
/// let options = LoadOptions::new(&device).with_load_weights(false);
/// let untrained = Gpt2CausalLm::from_preset_with("gpt2_tiny_shakespeare", options)?;
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait FromPreset: Load {
    /// Loads from a built-in name, a hub's handle or a path (see [`Preset::open`]). Models are
    /// loaded to the CPU. A tokenizer also loads from a folder with nothing else.
    ///
    /// # Errors
    ///
    /// As [`from_preset_with`](Self::from_preset_with).
    fn from_preset(source: impl AsRef<Path>) -> Result<Self, PresetError> {
        Self::from_preset_with(source, LoadOptions::default())
    }

    /// As [`from_preset`](Self::from_preset), with options: a `&Device`, [`LoadOptions`] or
    /// `HubOptions`. Preprocessors and tokenizers have no weights: they use only the options of
    /// hubs.
    ///
    /// # Errors
    ///
    /// As [`Preset::open`], and as the method that loads this type:
    /// [`causal_lm`](Preset::causal_lm), [`backbone`](Preset::backbone),
    /// [`preprocessor`](Preset::preprocessor) or [`tokenizer`](Preset::tokenizer).
    fn from_preset_with(
        source: impl AsRef<Path>,
        options: impl Into<LoadOptions>,
    ) -> Result<Self, PresetError> {
        Self::load(source.as_ref(), options.into())
    }
}

/// Types that load from a preset. Its module is private, which seals [`FromPreset`].
pub trait Load: Sized {
    /// Loads from a source.
    fn load(source: &Path, options: LoadOptions) -> Result<Self, PresetError>;
}

impl FromPreset for Gpt2CausalLm {}

impl FromPreset for Gpt2Backbone {}

impl FromPreset for Gpt2CausalLmPreprocessor {}

impl FromPreset for Gpt2Tokenizer {}

impl Load for Gpt2CausalLm {
    fn load(source: &Path, options: LoadOptions) -> Result<Self, PresetError> {
        Preset::open_through(source, &options.hub)?.causal_lm(options)
    }
}

impl Load for Gpt2Backbone {
    fn load(source: &Path, options: LoadOptions) -> Result<Self, PresetError> {
        Preset::open_through(source, &options.hub)?.backbone(options)
    }
}

impl Load for Gpt2CausalLmPreprocessor {
    fn load(source: &Path, options: LoadOptions) -> Result<Self, PresetError> {
        Preset::open_through(source, &options.hub)?.preprocessor()
    }
}

impl Load for Gpt2Tokenizer {
    fn load(source: &Path, options: LoadOptions) -> Result<Self, PresetError> {
        let name = source.to_string_lossy();
        match preset_or_tokenizer(&find(source, &options.hub)?, &name)? {
            PresetOrTokenizer::Tokenizer(tokenizer) => Ok(tokenizer),
            PresetOrTokenizer::Preset(opened) => Preset::new(&name, opened)?.tokenizer(),
        }
    }
}
