//! Contents of a preset to be written, and the options of writing.

use gpt2_backbone::WeightDtype;
use gpt2_files::OnProgress;
use gpt2_task::Gpt2CausalLmPreprocessor;
use gpt2_tokenizer::Gpt2Tokenizer;

use crate::weights::placed_parameters::Parameters;

/// Contents of a preset.
pub enum Contents<'a> {
    /// A causal language model.
    Task {
        /// Parameters of its backbone.
        parameters: &'a mut dyn Parameters,
        /// Its preprocessor, if it has one.
        preprocessor: Option<&'a Gpt2CausalLmPreprocessor>,
    },
    /// A backbone alone.
    Backbone(&'a mut dyn Parameters),
    /// A preprocessor alone.
    Preprocessor(&'a Gpt2CausalLmPreprocessor),
    /// A tokenizer alone.
    Tokenizer(&'a Gpt2Tokenizer),
}

/// Parameters and tokenizer of the contents, if there are any.
pub(crate) type Parts<'a> = (Option<&'a mut dyn Parameters>, Option<&'a Gpt2Tokenizer>);

impl<'a> Contents<'a> {
    /// Parameters and tokenizer, for a format without a preprocessor's settings.
    pub(crate) fn into_parts(self) -> Parts<'a> {
        let tokenizer = |it: &'a Gpt2CausalLmPreprocessor| it.tokenizer();
        match self {
            Self::Task { parameters, preprocessor } => {
                (Some(parameters), preprocessor.map(tokenizer))
            }
            Self::Backbone(parameters) => (Some(parameters), None),
            Self::Preprocessor(preprocessor) => (None, Some(preprocessor.tokenizer())),
            Self::Tokenizer(tokenizer) => (None, Some(tokenizer)),
        }
    }
}

/// Options of writing.
#[derive(Debug, Clone)]
pub(crate) struct WriteOptions {
    /// Float type of the weights.
    pub(crate) dtype: WeightDtype,
    /// Size in bytes above which elements are split into several files.
    pub(crate) max_shard_size: u64,
    /// Called after each parameter.
    pub(crate) on_progress: OnProgress,
}

#[cfg(test)]
impl WriteOptions {
    /// 32-bit floats, with this limit on a file's size.
    pub(crate) fn new(max_shard_size: u64) -> Self {
        Self { dtype: WeightDtype::F32, max_shard_size, on_progress: OnProgress::default() }
    }
}
