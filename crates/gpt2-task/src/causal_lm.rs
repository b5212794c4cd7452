//! `Gpt2CausalLm`: GPT-2 with a language-model head.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

use burn::tensor::Tensor;
use gpt2_backbone::{Gpt2Backbone, LoraConfig, ParameterGradients};
use serde_json::Value;

use crate::arguments::check_count;
use crate::causal_lm_preprocessor::Gpt2CausalLmPreprocessor;
use crate::error::TaskError;
use crate::generation::draw::DrawSource;
use crate::generation::samplers::sampler::SearchStrategy;
use crate::owned_backbone::OwnedBackbone;
use crate::training::batches::{BatchPlan, Batches};
use crate::training::compile::{CompileOptions, IntoCompileOptions, TrainingSetup};
use crate::training::dataset::TrainingData;
use crate::training::optimizers::optimizer::Optimizer;
use crate::training_batch::TrainingBatch;

/// GPT-2 as a causal language model (`keras_hub/src/models/gpt2/gpt2_causal_lm.py`).
///
/// With a preprocessor, the model works on text; without one, on token ids. The head computes
/// logits with the transposed token embedding.
///
/// Generation takes `&self`: threads can share a model in an [`Arc`](std::sync::Arc), without a
/// lock. With [`GenerateOptions::with_seed`](crate::GenerateOptions::with_seed), an answer does not
/// depend on other threads.
#[doc(alias = "GPT2CausalLM")]
pub struct Gpt2CausalLm {
    backbone: OwnedBackbone,
    preprocessor: Option<Gpt2CausalLmPreprocessor>,
    sampler: Box<dyn SearchStrategy>,
    training: TrainingSetup,
    seed: u64,
    /// Generations since the model was compiled. Each one draws other random numbers.
    calls: AtomicU32,
}

impl Gpt2CausalLm {
    /// Makes a model that is compiled with KerasHub's defaults; see [`CompileOptions`].
    ///
    /// # Errors
    ///
    /// [`TaskError::VocabularyMismatch`] if the tokenizer has tokens that the backbone lacks.
    pub fn new(
        backbone: Gpt2Backbone,
        preprocessor: Option<Gpt2CausalLmPreprocessor>,
    ) -> Result<Self, TaskError> {
        let vocabulary_size = backbone.config().vocabulary_size;
        let (sampler, training) = CompileOptions::new().into_parts(vocabulary_size);
        let mut model = Self {
            backbone: OwnedBackbone::new(backbone),
            preprocessor: None,
            sampler,
            training,
            seed: rand::random(),
            calls: AtomicU32::new(0),
        };
        model.set_preprocessor(preprocessor)?;
        Ok(model)
    }

    /// Configures generation and training with [`CompileOptions`], or only generation with a
    /// sampler, as a value or as text. The sampler's random numbers and the optimizer start anew.
    ///
    /// ```
    /// # let mut model = gpt2_task::testing::model();
    /// use gpt2_task::samplers::BeamSampler;
    ///
    /// model.compile("greedy")?;
    /// model.compile("top_p:p=0.9,seed=7")?;
    /// model.compile(BeamSampler::new(2))?;
    /// let message = model.compile("gredy").unwrap_err().to_string();
    /// assert!(message.contains("expected one of `beam`, `contrastive`, `greedy`"));
    /// # Ok::<(), gpt2_task::TaskError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`TaskError::InvalidChoice`] for a text that is not a sampler, and
    /// [`TaskError::InvalidSamplerArgument`] or [`TaskError::InvalidTrainingArgument`] for an
    /// argument that is out of range or does not suit the model's vocabulary. The model is
    /// unchanged then.
    pub fn compile(&mut self, options: impl IntoCompileOptions) -> Result<(), TaskError> {
        let options = options.into_compile_options()?;
        let vocabulary_size = self.backbone().config().vocabulary_size;
        let (sampler, training) = options.into_parts(vocabulary_size);
        sampler.validate(vocabulary_size)?;
        training.optimizer.validate()?;
        self.seed = sampler.seed().unwrap_or_else(rand::random);
        self.calls = AtomicU32::new(0);
        self.sampler = sampler;
        self.training = training;
        Ok(())
    }

    /// Model without its head.
    pub fn backbone(&self) -> &Gpt2Backbone {
        self.backbone.get()
    }

    /// Returns the backbone, to use or save it separately.
    pub fn into_backbone(self) -> Gpt2Backbone {
        self.backbone.into_inner()
    }

    /// Replaces the backbone, for example by one with other weights. The optimizer keeps its state
    /// for parameters with the same path and size.
    ///
    /// # Errors
    ///
    /// [`TaskError::VocabularyMismatch`]. The model is unchanged then.
    pub fn set_backbone(&mut self, backbone: Gpt2Backbone) -> Result<(), TaskError> {
        check_vocabulary(&backbone, self.preprocessor.as_ref())?;
        self.backbone = OwnedBackbone::new(backbone);
        self.forget_other_parameters();
        Ok(())
    }

    /// Adds LoRA to dense layers and freezes all other parameters. `config` is a [`LoraConfig`] or
    /// only its rank; see [`Gpt2Backbone::enable_lora`].
    ///
    /// # Errors
    ///
    /// Those of [`Gpt2Backbone::enable_lora`]. The model is unchanged then.
    pub fn enable_lora(&mut self, config: impl Into<LoraConfig>) -> Result<(), TaskError> {
        self.backbone.get_mut().enable_lora(config)?;
        self.forget_other_parameters();
        Ok(())
    }

    /// Adds the LoRA products to the kernels; see [`Gpt2Backbone::merge_lora`].
    pub fn merge_lora(&mut self) {
        self.backbone.get_mut().merge_lora();
        self.forget_other_parameters();
    }

    /// Freezes or unfreezes the parameters under these names; see [`Gpt2Backbone::set_trainable`].
    ///
    /// # Errors
    ///
    /// Those of [`Gpt2Backbone::set_trainable`]. The model is unchanged then.
    pub fn set_trainable(&mut self, names: &[&str], trainable: bool) -> Result<(), TaskError> {
        Ok(self.backbone.get_mut().set_trainable(names, trainable)?)
    }

    /// Learning rate of the next training step.
    pub fn learning_rate(&self) -> f64 {
        self.training.optimizer.learning_rate()
    }

    /// Sets a constant learning rate.
    ///
    /// # Errors
    ///
    /// Those of [`Optimizer::set_learning_rate`](crate::optimizers::Optimizer::set_learning_rate).
    pub fn set_learning_rate(&mut self, learning_rate: f64) -> Result<(), TaskError> {
        self.training.optimizer.set_learning_rate(learning_rate)
    }

    /// Optimizer that the model was compiled with.
    pub fn optimizer(&self) -> &Optimizer {
        &self.training.optimizer
    }

    /// Preprocessor of text. None for a model that works on token ids.
    pub fn preprocessor(&self) -> Option<&Gpt2CausalLmPreprocessor> {
        self.preprocessor.as_ref()
    }

    /// Attaches or detaches the preprocessor of text.
    ///
    /// # Errors
    ///
    /// [`TaskError::VocabularyMismatch`]. The model is unchanged then.
    pub fn set_preprocessor(
        &mut self,
        preprocessor: Option<Gpt2CausalLmPreprocessor>,
    ) -> Result<(), TaskError> {
        check_vocabulary(self.backbone(), preprocessor.as_ref())?;
        self.preprocessor = preprocessor;
        Ok(())
    }

    /// Logits of texts, packed as for training: between start and end token, with padding.
    ///
    /// # Shapes
    ///
    /// `[batch_size, sequence_length, vocabulary_size]`, where `sequence_length` is the preprocessor's.
    ///
    /// # Errors
    ///
    /// [`TaskError::NoPreprocessor`], [`TaskError::EmptyBatch`], [`TaskError::Tokenizer`], and
    /// [`TaskError::Backbone`] if the preprocessor's rows are longer than the model's
    /// `max_sequence_length`.
    pub fn predict(&self, texts: &[impl AsRef<str>]) -> Result<Tensor<3>, TaskError> {
        let batch = self.require_preprocessor("predict")?.preprocess(texts)?;
        self.score_logits(&batch.x)
    }

    /// Logits of texts, token ids or an iterator's batches. Each batch is computed on demand;
    /// Keras' `predict` returns all batches at once.
    ///
    /// ```
    /// # let model = gpt2_task::testing::model();
    /// let texts = ["a plane", "airport", "the port"];
    /// for logits in model.predict_batches(&texts, 2)? {
    ///     assert_eq!(logits?.dims()[1..], [8, 46]);
    /// }
    /// # Ok::<(), gpt2_task::TaskError>(())
    /// ```
    ///
    /// # Shapes
    ///
    /// `[rows, sequence_length, vocabulary_size]` for each batch. The last batch may have fewer
    /// rows.
    ///
    /// # Errors
    ///
    /// [`TaskError::NoPreprocessor`], or [`TaskError::InvalidTrainingArgument`] for a batch size of
    /// 0. For each batch, those of [`score_logits`](Self::score_logits).
    pub fn predict_batches<'a>(
        &'a self,
        data: impl Into<TrainingData<'a>>,
        batch_size: usize,
    ) -> Result<impl Iterator<Item = Result<Tensor<3>, TaskError>> + 'a, TaskError> {
        check_count("predict_batches", "batch_size", batch_size)?;
        let data = data.into().resolve(self.preprocessor(), batch_size, "predict_batches")?;
        let plan = BatchPlan { batch_size, steps: None, repeat: false, seed: None };
        let mut batches = Batches::new(data, plan);
        let logits = |batch: TrainingBatch| self.score_logits(&batch.x);
        Ok((0..).map_while(move |number| match batches.get(0, number) {
            Ok(batch) => batch.map(logits),
            Err(error) => Some(Err(error)),
        }))
    }

    pub(crate) fn require_preprocessor(
        &self,
        operation: &'static str,
    ) -> Result<&Gpt2CausalLmPreprocessor, TaskError> {
        self.preprocessor.as_ref().ok_or(TaskError::NoPreprocessor { operation })
    }

    pub(crate) fn training_setup(&self) -> &TrainingSetup {
        &self.training
    }

    /// Seed of dropout outside of `fit`.
    pub(crate) fn training_seed(&self) -> u64 {
        self.training.seed
    }

    /// Applies one optimizer step in place. All gradients of a training pass through this function,
    /// between the backward pass and the optimizer.
    pub(crate) fn apply_gradients(
        &mut self,
        gradients: ParameterGradients,
    ) -> Result<(), TaskError> {
        let optimizer = &mut self.training.optimizer;
        self.backbone.update(|backbone| optimizer.apply(backbone, gradients))
    }

    /// Ends a training: averaged weights, if kept, replace the weights.
    pub(crate) fn finalize_weights(&mut self) {
        let optimizer = &self.training.optimizer;
        self.backbone.update(|backbone| (optimizer.finalize_variable_values(backbone), ()));
    }

    /// Restores weights and optimizer from a checkpoint.
    pub(crate) fn restore_training(
        &mut self,
        backbone: Gpt2Backbone,
        counters: &Value,
        tensors: BTreeMap<String, Tensor<1>>,
    ) -> Result<(), TaskError> {
        self.training.optimizer.restore(counters, tensors, &backbone)?;
        self.backbone = OwnedBackbone::new(backbone);
        Ok(())
    }

    fn forget_other_parameters(&mut self) {
        self.training.optimizer.forget_others(self.backbone.get());
    }

    pub(crate) fn sampler(&self) -> &dyn SearchStrategy {
        self.sampler.as_ref()
    }

    /// Random numbers of the next generation: those of `seed` if it is given, or else the sampler's
    /// next numbers.
    pub(crate) fn next_draws(&self, seed: Option<u64>) -> DrawSource {
        match seed {
            Some(seed) => DrawSource { seed, call: 0 },
            // Atomic addition wraps around.
            None => {
                DrawSource { seed: self.seed, call: self.calls.fetch_add(1, Ordering::Relaxed) }
            }
        }
    }
}

fn check_vocabulary(
    backbone: &Gpt2Backbone,
    preprocessor: Option<&Gpt2CausalLmPreprocessor>,
) -> Result<(), TaskError> {
    let Some(preprocessor) = preprocessor else { return Ok(()) };
    let max_token_id = preprocessor.tokenizer().max_token_id();
    let vocabulary_size = backbone.config().vocabulary_size;
    if max_token_id as usize >= vocabulary_size {
        return Err(TaskError::VocabularyMismatch { max_token_id, vocabulary_size });
    }
    Ok(())
}
