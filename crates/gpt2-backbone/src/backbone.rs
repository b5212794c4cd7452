//! The model: its config, parameters and head.

use std::convert::Infallible;

use burn::module::Module;
use burn::tensor::{DType, Device, Tensor};

use crate::config::Gpt2BackboneConfig;
use crate::error::BackboneError;
use crate::key_value_cache::KeyValueCache;
use crate::layer_normalization::LayerNormalization;
use crate::parameter::{ParameterReader, ParameterSource, RandomParameters};
use crate::position_embedding::PositionEmbedding;
use crate::reversible_embedding::ReversibleEmbedding;
use crate::transformer_decoder::TransformerDecoder;
use crate::weight;

/// GPT-2 without a head ([Radford et al., 2019](https://cdn.openai.com/better-language-models/language_models_are_unsupervised_multitask_learners.pdf);
/// `keras_hub/src/models/gpt2/gpt2_backbone.py`).
///
/// ```
/// use burn::tensor::{Device, Int, Tensor};
/// use gpt2_backbone::{Gpt2Backbone, Gpt2BackboneConfig};
///
/// let device = Device::flex();
/// let config = Gpt2BackboneConfig::new(10, 2, 2, 4, 8).with_max_sequence_length(5);
/// let backbone = Gpt2Backbone::new(&config, 42, &device)?;
/// let token_ids = Tensor::<2, Int>::from_data([[1, 2, 3]], &device);
/// let hidden_states = backbone.forward(token_ids, None)?;
/// assert_eq!(hidden_states.dims(), [1, 3, 4]);
/// assert_eq!(backbone.logits(hidden_states).dims(), [1, 3, 10]);
/// # Ok::<(), gpt2_backbone::BackboneError>(())
/// ```
#[doc(alias = "GPT2Backbone")]
#[derive(Module, Debug)]
pub struct Gpt2Backbone {
    /// Token embedding, also the output layer.
    pub token_embedding: ReversibleEmbedding,
    /// Position embedding.
    pub position_embedding: PositionEmbedding,
    /// The layers, in order.
    pub transformer_layers: Vec<TransformerDecoder>,
    /// Final normalisation, after the last layer.
    pub layer_norm: LayerNormalization,
    #[module(skip)]
    config: Gpt2BackboneConfig,
}

impl Gpt2Backbone {
    /// Model with KerasHub's random initialisation.
    ///
    /// # Errors
    ///
    /// As [`Gpt2BackboneConfig::validate`].
    pub fn new(
        config: &Gpt2BackboneConfig,
        seed: u64,
        device: &Device,
    ) -> Result<Self, BackboneError> {
        config.validate()?;
        let built = Self::build(config, &mut RandomParameters::new(seed), device);
        Ok(built.unwrap_or_else(|impossible: Infallible| match impossible {}))
    }

    /// Model with parameters from `source`. Each parameter is requested once, and none is
    /// initialised first.
    ///
    /// # Errors
    ///
    /// As [`Gpt2BackboneConfig::validate`], and the errors of the source.
    pub fn from_source<S>(
        config: &Gpt2BackboneConfig,
        source: &mut S,
        device: &Device,
    ) -> Result<Self, S::Error>
    where
        S: ParameterSource,
        S::Error: From<BackboneError>,
    {
        config.validate()?;
        Self::build(config, source, device)
    }

    fn build<S: ParameterSource>(
        config: &Gpt2BackboneConfig,
        source: &mut S,
        device: &Device,
    ) -> Result<Self, S::Error> {
        let mut reader = ParameterReader::new(source, device);
        let (vocabulary, hidden) = (config.vocabulary_size, config.hidden_dim);
        Ok(Self {
            token_embedding: ReversibleEmbedding::read(
                reader.module("token_embedding"),
                vocabulary,
                hidden,
                config.tie_weights,
            )?,
            position_embedding: PositionEmbedding::read(
                reader.module("position_embedding"),
                config.max_sequence_length,
                hidden,
            )?,
            transformer_layers: (0..config.num_layers)
                .map(|layer| {
                    let name = format!("transformer_layers.{layer}");
                    TransformerDecoder::read(reader.module(&name), config, layer)
                })
                .collect::<Result<_, _>>()?,
            layer_norm: LayerNormalization::read(
                reader.module("layer_norm"),
                hidden,
                config.layer_norm_epsilon,
            )?,
            config: config.clone(),
        })
    }

    /// Config that the model was built with.
    pub fn config(&self) -> &Gpt2BackboneConfig {
        &self.config
    }

    /// Changes the dropout rate, which only training uses.
    ///
    /// # Errors
    ///
    /// [`BackboneError::InvalidConfig`] for a rate outside 0 to 1; the model is then unchanged.
    pub fn set_dropout(&mut self, dropout: f64) -> Result<(), BackboneError> {
        let config = self.config.clone().with_dropout(dropout);
        config.validate()?;
        self.config = config;
        Ok(())
    }

    /// Device of the parameters.
    pub fn device(&self) -> Device {
        self.layer_norm.gamma.device()
    }

    /// Float type of the parameters: that of their source. Default: 32 bits.
    pub fn dtype(&self) -> DType {
        self.layer_norm.gamma.dtype()
    }

    /// Float type of activations, logits and caches: that of the token embedding, unless a training
    /// step sets another.
    pub fn compute_dtype(&self) -> DType {
        weight::dtype(&self.token_embedding.embeddings)
    }

    /// Computes logits of hidden states.
    ///
    /// # Shapes
    ///
    /// `[batch_size, sequence_length, hidden_dim] -> [batch_size, sequence_length, vocabulary_size]`
    pub fn logits(&self, hidden_states: Tensor<3>) -> Tensor<3> {
        self.token_embedding.reverse(hidden_states)
    }

    /// Empty cache for `batch_size` sequences of up to `max_length` tokens.
    ///
    /// # Errors
    ///
    /// [`BackboneError::SequenceTooLong`] if `max_length` exceeds the model's positions.
    pub fn new_cache(
        &self,
        batch_size: usize,
        max_length: usize,
    ) -> Result<KeyValueCache, BackboneError> {
        KeyValueCache::new(
            &self.config,
            batch_size,
            max_length,
            &self.device(),
            self.compute_dtype(),
        )
    }
}
