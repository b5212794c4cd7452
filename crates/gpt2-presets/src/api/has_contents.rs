//! Contents of models, presets and tokenizers to be written.

use gpt2_backbone::Gpt2Backbone;
use gpt2_task::{Gpt2CausalLm, Gpt2CausalLmPreprocessor};
use gpt2_tokenizer::Gpt2Tokenizer;

use crate::error::PresetError;
use crate::formats::contents::Contents;
use crate::preset::Preset;
use crate::weights::placed_parameters::merged;

/// Models, presets and tokenizers that can be written in a format. Its module is private, which
/// seals the traits that need it.
pub trait HasContents {
    /// Calls `write` with the contents. A LoRA is merged into the kernels.
    fn with_contents(&self, write: &mut Write<'_>) -> Result<(), PresetError>;
}

/// Writes contents.
pub(crate) type Write<'a> = dyn FnMut(Contents<'_>) -> Result<(), PresetError> + 'a;

impl HasContents for Gpt2CausalLm {
    fn with_contents(&self, write: &mut Write<'_>) -> Result<(), PresetError> {
        let parameters = &mut merged(self.backbone());
        write(Contents::Task { parameters, preprocessor: self.preprocessor() })
    }
}

impl HasContents for Gpt2Backbone {
    fn with_contents(&self, write: &mut Write<'_>) -> Result<(), PresetError> {
        write(Contents::Backbone(&mut merged(self)))
    }
}

/// Copies parameters from file to file, one at a time. No model is built.
impl HasContents for Preset {
    fn with_contents(&self, write: &mut Write<'_>) -> Result<(), PresetError> {
        if self.is_backbone_alone()? {
            return write(Contents::Backbone(&mut self.parameters()?));
        }
        let preprocessor = self.task_preprocessor()?;
        let parameters = &mut self.parameters()?;
        write(Contents::Task { parameters, preprocessor: preprocessor.as_ref() })
    }
}

impl HasContents for Gpt2CausalLmPreprocessor {
    fn with_contents(&self, write: &mut Write<'_>) -> Result<(), PresetError> {
        write(Contents::Preprocessor(self))
    }
}

impl HasContents for Gpt2Tokenizer {
    fn with_contents(&self, write: &mut Write<'_>) -> Result<(), PresetError> {
        write(Contents::Tokenizer(self))
    }
}
