//! Settings of `compile`: generation and training of a model.

use std::fmt;
use std::str::FromStr;

use burn::tensor::DType;
use gpt2_backbone::WeightDtype;
use serde::{Deserialize, Serialize};

use super::loss::SparseCategoricalCrossentropy;
use super::metrics::Metric;
use super::optimizers::loss_scale::LossScale;
use super::optimizers::optimizer::Optimizer;
use crate::error::TaskError;
use crate::generation::samplers::config::SamplerConfig;
use crate::generation::samplers::sampler::SearchStrategy;
use crate::generation::samplers::top_k::TopKSampler;

/// Float type of products and activations. Weights are always 32-bit floats.
///
/// Normalisations, the softmax of the loss and the optimizer always compute in 32-bit floats, as
/// with Keras' policies of these names.
///
/// ```
/// use gpt2_task::Precision;
///
/// assert_eq!("mixed_bfloat16".parse::<Precision>()?, Precision::MixedBfloat16);
/// assert_eq!(Precision::Float32.to_string(), "float32");
/// # Ok::<(), gpt2_task::TaskError>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Precision {
    /// 32-bit floats throughout.
    #[default]
    Float32,
    /// bfloat16 for products and activations.
    MixedBfloat16,
    /// float16 for products and activations, with a dynamic loss scale unless the optimizer has a
    /// scale.
    MixedFloat16,
}

impl fmt::Display for Precision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Float32 => "float32",
            Self::MixedBfloat16 => "mixed_bfloat16",
            Self::MixedFloat16 => "mixed_float16",
        })
    }
}

impl FromStr for Precision {
    type Err = TaskError;

    fn from_str(text: &str) -> Result<Self, TaskError> {
        let all = [Self::Float32, Self::MixedBfloat16, Self::MixedFloat16];
        let expected = "`float32`, `mixed_bfloat16` or `mixed_float16`";
        let found = all.into_iter().find(|precision| precision.to_string() == text);
        found.ok_or_else(|| TaskError::invalid_text("the precision", expected, text))
    }
}

impl Precision {
    /// Precision with this float type for products and activations.
    pub fn mixed(dtype: WeightDtype) -> Self {
        match dtype {
            WeightDtype::F32 => Self::Float32,
            WeightDtype::F16 => Self::MixedFloat16,
            WeightDtype::Bf16 => Self::MixedBfloat16,
        }
    }

    pub(crate) fn compute_dtype(self) -> Option<DType> {
        match self {
            Self::Float32 => None,
            Self::MixedBfloat16 => Some(DType::BF16),
            Self::MixedFloat16 => Some(DType::F16),
        }
    }
}

/// Arguments of KerasHub's `compile`, with its defaults: Adam with a learning rate of 2e-5, the
/// cross-entropy of the next token, its accuracy, and the sampler `top_k`.
///
/// ```
/// # use gpt2_task::testing::model;
/// use gpt2_task::optimizers::{AdamW, Optimizer};
/// use gpt2_task::samplers::GreedySampler;
/// use gpt2_task::{CompileOptions, Metric};
///
/// let mut model = model();
/// model.compile(
///     CompileOptions::new()
///         .with_optimizer(Optimizer::new(AdamW::default(), 1e-4))
///         .with_weighted_metrics([Metric::SparseCategoricalAccuracy, Metric::Perplexity])
///         .with_sampler(GreedySampler::new()),
/// )?;
/// // Only a sampler, also as text: everything else has its default.
/// model.compile(GreedySampler::new())?;
/// model.compile("top_k:k=3")?;
/// # Ok::<(), gpt2_task::TaskError>(())
/// ```
pub struct CompileOptions {
    pub(crate) sampler: Option<Box<dyn SearchStrategy>>,
    pub(crate) training: TrainingSetup,
}

/// Part of [`CompileOptions`] for training.
pub(crate) struct TrainingSetup {
    pub(crate) optimizer: Optimizer,
    pub(crate) loss: SparseCategoricalCrossentropy,
    pub(crate) weighted_metrics: Vec<Metric>,
    pub(crate) gradient_checkpointing: bool,
    pub(crate) precision: Precision,
    /// Seed of dropout in `train_on_batch`.
    pub(crate) seed: u64,
}

impl CompileOptions {
    /// KerasHub's defaults.
    pub fn new() -> Self {
        let training = TrainingSetup {
            optimizer: Optimizer::default(),
            loss: SparseCategoricalCrossentropy::default(),
            weighted_metrics: vec![Metric::SparseCategoricalAccuracy],
            gradient_checkpointing: false,
            precision: Precision::default(),
            seed: rand::random(),
        };
        Self { sampler: None, training }
    }

    /// Sets the optimizer, which updates the weights.
    #[must_use]
    pub fn with_optimizer(mut self, optimizer: Optimizer) -> Self {
        self.training.optimizer = optimizer;
        self
    }

    /// Sets the loss.
    #[must_use]
    pub fn with_loss(mut self, loss: SparseCategoricalCrossentropy) -> Self {
        self.training.loss = loss;
        self
    }

    /// Sets the metrics that are computed besides the loss.
    #[must_use]
    pub fn with_weighted_metrics(mut self, metrics: impl IntoIterator<Item = Metric>) -> Self {
        self.training.weighted_metrics = metrics.into_iter().collect();
        self
    }

    /// Sets the sampler of generation.
    #[must_use]
    pub fn with_sampler(mut self, sampler: impl SearchStrategy + 'static) -> Self {
        self.sampler = Some(Box::new(sampler));
        self
    }

    /// Sets whether a training step keeps only the inputs of the layers, and recomputes each layer
    /// in the backward pass. This takes less memory and a third more time; the results are the
    /// same. Default: false.
    #[must_use]
    pub fn with_gradient_checkpointing(mut self, gradient_checkpointing: bool) -> Self {
        self.training.gradient_checkpointing = gradient_checkpointing;
        self
    }

    /// Sets the float type of products and activations in training. Default:
    /// [`Precision::Float32`].
    #[must_use]
    pub fn with_precision(mut self, precision: Precision) -> Self {
        self.training.precision = precision;
        self
    }

    /// Sets the seed of dropout in `train_on_batch`. Default: a random seed. `fit` has
    /// [a seed of its own](crate::FitOptions::with_seed).
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.training.seed = seed;
        self
    }

    /// Returns the sampler, for a vocabulary of this size, and the training setup.
    pub(crate) fn into_parts(
        mut self,
        vocabulary_size: usize,
    ) -> (Box<dyn SearchStrategy>, TrainingSetup) {
        let sampler = self.sampler.unwrap_or_else(|| {
            // A vocabulary may have fewer than the default k tokens.
            Box::new(TopKSampler::new(TopKSampler::default().k.min(vocabulary_size)))
        });
        if self.training.precision == Precision::MixedFloat16 {
            self.training.optimizer.default_loss_scale(LossScale::dynamic());
        }
        (sampler, self.training)
    }
}

impl Default for CompileOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// Argument of [`Gpt2CausalLm::compile`](crate::Gpt2CausalLm::compile): [`CompileOptions`], or only
/// a sampler, with defaults for everything else. A sampler is a value, a [`SamplerConfig`], or text
/// for [`samplers::get`](crate::samplers::get).
pub trait IntoCompileOptions {
    /// Converts the argument to options.
    ///
    /// # Errors
    ///
    /// [`TaskError::InvalidChoice`] for a text that is not a sampler.
    fn into_compile_options(self) -> Result<CompileOptions, TaskError>;
}

impl IntoCompileOptions for CompileOptions {
    fn into_compile_options(self) -> Result<CompileOptions, TaskError> {
        Ok(self)
    }
}

impl<S: SearchStrategy + 'static> IntoCompileOptions for S {
    fn into_compile_options(self) -> Result<CompileOptions, TaskError> {
        Ok(CompileOptions::new().with_sampler(self))
    }
}

impl IntoCompileOptions for SamplerConfig {
    fn into_compile_options(self) -> Result<CompileOptions, TaskError> {
        self.build().into_compile_options()
    }
}

impl IntoCompileOptions for &str {
    fn into_compile_options(self) -> Result<CompileOptions, TaskError> {
        self.parse::<SamplerConfig>()?.into_compile_options()
    }
}

impl IntoCompileOptions for String {
    fn into_compile_options(self) -> Result<CompileOptions, TaskError> {
        self.as_str().into_compile_options()
    }
}

impl IntoCompileOptions for &String {
    fn into_compile_options(self) -> Result<CompileOptions, TaskError> {
        self.as_str().into_compile_options()
    }
}
