//! A GPT-2 with a head: the model that users work with.

use burn::tensor::Tensor;
use gpt2_backbone::Gpt2Backbone;

use crate::decoding::DrawSource;
use crate::samplers::{SearchStrategy, TopKSampler};
use crate::{Gpt2CausalLmPreprocessor, TaskError};

/// GPT-2 as a causal language model (`keras_hub/src/models/gpt2/gpt2_causal_lm.py`).
///
/// With a preprocessor it works on text, without one on token ids. The logits are computed with
/// the token embedding in reverse.
#[doc(alias = "GPT2CausalLM")]
pub struct Gpt2CausalLm {
    backbone: Gpt2Backbone,
    preprocessor: Option<Gpt2CausalLmPreprocessor>,
    sampler: Box<dyn SearchStrategy>,
    seed: u64,
    /// Generations since the model was compiled: each draws other numbers.
    calls: u32,
}

impl Gpt2CausalLm {
    /// A model with KerasHub's default sampler, `top_k`.
    ///
    /// # Errors
    ///
    /// [`TaskError::VocabularyMismatch`] if the tokenizer has tokens that the backbone does not
    /// have, and what [`compile`](Self::compile) refuses.
    pub fn new(
        backbone: Gpt2Backbone,
        preprocessor: Option<Gpt2CausalLmPreprocessor>,
    ) -> Result<Self, TaskError> {
        // A vocabulary of fewer than five tokens has no five best.
        let k = TopKSampler::default().k.min(backbone.config().vocabulary_size);
        let sampler = Box::new(TopKSampler::new(k));
        let mut model =
            Self { backbone, preprocessor: None, sampler, seed: rand::random(), calls: 0 };
        model.set_preprocessor(preprocessor)?;
        Ok(model)
    }

    /// Sets the sampler, whose random numbers start anew.
    ///
    /// # Errors
    ///
    /// [`TaskError::InvalidSamplerArgument`] if the sampler's arguments are out of range, or do
    /// not suit the model's vocabulary. The model keeps its sampler then.
    pub fn compile(&mut self, sampler: impl SearchStrategy + 'static) -> Result<(), TaskError> {
        sampler.validate(self.backbone.config().vocabulary_size)?;
        self.seed = sampler.seed().unwrap_or_else(rand::random);
        self.calls = 0;
        self.sampler = Box::new(sampler);
        Ok(())
    }

    /// The model without its head.
    pub fn backbone(&self) -> &Gpt2Backbone {
        &self.backbone
    }

    /// Gives the backbone back, to train or to save it.
    pub fn into_backbone(self) -> Gpt2Backbone {
        self.backbone
    }

    /// What turns text into token ids, if any.
    pub fn preprocessor(&self) -> Option<&Gpt2CausalLmPreprocessor> {
        self.preprocessor.as_ref()
    }

    /// Attaches or detaches what turns text into token ids.
    ///
    /// # Errors
    ///
    /// [`TaskError::VocabularyMismatch`]; the model is unchanged then.
    pub fn set_preprocessor(
        &mut self,
        preprocessor: Option<Gpt2CausalLmPreprocessor>,
    ) -> Result<(), TaskError> {
        if let Some(preprocessor) = &preprocessor {
            let max_token_id = preprocessor.tokenizer().max_token_id();
            let vocabulary_size = self.backbone.config().vocabulary_size;
            if max_token_id as usize >= vocabulary_size {
                return Err(TaskError::VocabularyMismatch { max_token_id, vocabulary_size });
            }
        }
        self.preprocessor = preprocessor;
        Ok(())
    }

    /// Logits of texts, packed as for training: between start and end token, padded.
    ///
    /// # Shapes
    ///
    /// `[batch_size, sequence_length, vocabulary_size]`, where `sequence_length` is the preprocessor's.
    ///
    /// # Errors
    ///
    /// [`TaskError::NoPreprocessor`], [`TaskError::EmptyBatch`], [`TaskError::Tokenizer`], or
    /// [`TaskError::Backbone`] if the preprocessor's rows are longer than the model's positions.
    pub fn predict(&self, texts: &[impl AsRef<str>]) -> Result<Tensor<3>, TaskError> {
        let batch = self.require_preprocessor("predict")?.preprocess(texts, None)?;
        self.score_logits(&batch.x, None)
    }

    pub(crate) fn require_preprocessor(
        &self,
        operation: &'static str,
    ) -> Result<&Gpt2CausalLmPreprocessor, TaskError> {
        self.preprocessor.as_ref().ok_or(TaskError::NoPreprocessor { operation })
    }

    pub(crate) fn sampler_mut(&mut self) -> &mut dyn SearchStrategy {
        self.sampler.as_mut()
    }

    /// The random numbers of the next generation.
    pub(crate) fn next_draws(&mut self) -> DrawSource {
        let call = self.calls;
        self.calls = self.calls.wrapping_add(1);
        DrawSource { seed: self.seed, call }
    }
}
