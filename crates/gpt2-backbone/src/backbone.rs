//! The model: token ids to hidden states.

use std::convert::Infallible;
use std::ops::Range;

use burn::module::{Module, Param};
use burn::tensor::{Bool, DType, Device, IndexingUpdateOp, Int, Tensor};
use gpt2_kernels::{CachedKeys, has_steps, step_embedding};

use crate::config::Gpt2BackboneConfig;
use crate::dropout::{Dropout, DropoutSeed, Place};
use crate::error::BackboneError;
use crate::forward_pass::ForwardPass;
use crate::key_value_cache::KeyValueCache;
use crate::layer_normalization::LayerNormalization;
use crate::parameter::{
    ParameterGradients, ParameterReader, ParameterSource, RandomParameters, is_trainable,
};
use crate::position_embedding::PositionEmbedding;
use crate::reversible_embedding::ReversibleEmbedding;
use crate::transformer_decoder::TransformerDecoder;

/// Where in the forward pass an intercept is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InterceptPoint {
    /// Behind the sum of token and position embedding; KerasHub's index -1.
    Embeddings,
    /// Behind the transformer layer with this index.
    TransformerLayer(usize),
}

/// Sees the activations at every [`InterceptPoint`] and returns what the model goes on with.
///
/// Shapes: `[batch_size, sequence_length, hidden_dim]`, unchanged.
pub type LayerIntercept<'a> = dyn FnMut(Tensor<3>, InterceptPoint) -> Tensor<3> + 'a;

/// What a forward pass may take besides token ids.
#[derive(Default)]
pub struct ForwardOptions<'a> {
    /// True where a token may be seen; `[batch_size, tokens in the cache + sequence_length]`.
    pub padding_mask: Option<Tensor<2, Bool>>,
    /// Tokens seen before, behind which the new ones are placed; updated in place.
    pub cache: Option<&'a mut KeyValueCache>,
    /// Number of tokens in the cache, `[1]`, where it is on the device: on those that
    /// [have steps](gpt2_kernels::has_steps), of which this is one, for one token a row without a
    /// mask. The cache's own length only counts along.
    pub position: Option<Tensor<1, Int>>,
    /// Called with the activations of every layer.
    pub intercept: Option<&'a mut LayerIntercept<'a>>,
    /// Drops activations at the config's rate; unset in inference.
    pub dropout: Option<DropoutSeed>,
}

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
    /// Token vectors, also the output layer.
    pub token_embedding: ReversibleEmbedding,
    /// Position vectors.
    pub position_embedding: PositionEmbedding,
    /// The layers, in order.
    pub transformer_layers: Vec<TransformerDecoder>,
    /// The last normalisation.
    pub layer_norm: LayerNormalization,
    #[module(skip)]
    config: Gpt2BackboneConfig,
}

impl Gpt2Backbone {
    /// A model with KerasHub's random initialisation.
    ///
    /// # Errors
    ///
    /// What [`Gpt2BackboneConfig::validate`] refuses.
    pub fn new(
        config: &Gpt2BackboneConfig,
        seed: u64,
        device: &Device,
    ) -> Result<Self, BackboneError> {
        config.validate()?;
        let built = Self::build(config, &mut RandomParameters::new(seed), device);
        Ok(built.unwrap_or_else(|impossible: Infallible| match impossible {}))
    }

    /// A model whose parameters come from `source`, each asked for once and never initialised before.
    ///
    /// # Errors
    ///
    /// What [`Gpt2BackboneConfig::validate`] refuses, and what the source cannot give.
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

    /// The config that the model was built with.
    pub fn config(&self) -> &Gpt2BackboneConfig {
        &self.config
    }

    /// Changes the dropout rate, which has an effect in training only.
    ///
    /// # Errors
    ///
    /// [`BackboneError::InvalidConfig`] for a rate that is not between 0 and 1; the model is
    /// unchanged then.
    pub fn set_dropout(&mut self, dropout: f64) -> Result<(), BackboneError> {
        let config = self.config.clone().with_dropout(dropout);
        config.validate()?;
        self.config = config;
        Ok(())
    }

    /// The device on which the parameters are.
    pub fn device(&self) -> Device {
        self.layer_norm.gamma.device()
    }

    /// The float type of the parameters, of activations, of logits and of caches: 32-bit floats
    /// unless the parameters' source has others.
    pub fn dtype(&self) -> DType {
        self.token_embedding.embeddings.dtype()
    }

    /// Hidden states of token ids.
    ///
    /// # Shapes
    ///
    /// `token_ids` and `padding_mask` (true where a token may be seen): `[batch_size,
    /// sequence_length]`; result: `[batch_size, sequence_length, hidden_dim]`.
    ///
    /// # Errors
    ///
    /// As [`forward_with`](Self::forward_with).
    pub fn forward(
        &self,
        token_ids: Tensor<2, Int>,
        padding_mask: Option<Tensor<2, Bool>>,
    ) -> Result<Tensor<3>, BackboneError> {
        self.forward_with(token_ids, ForwardOptions { padding_mask, ..Default::default() })
    }

    /// The one forward pass: plain, cached, masked and intercepted.
    ///
    /// Token ids must be below `vocabulary_size`. They are not read back from the device to check
    /// that; what a backend does with others is its own affair (flex panics), so check ids that
    /// come from a user first.
    ///
    /// # Shapes
    ///
    /// `token_ids`: `[batch_size, sequence_length]`; result: `[batch_size, sequence_length,
    /// hidden_dim]`.
    ///
    /// # Errors
    ///
    /// [`BackboneError::EmptyInput`], [`BackboneError::SequenceTooLong`],
    /// [`BackboneError::CacheFull`], [`BackboneError::ShapeMismatch`] and [`BackboneError::NoStep`]; the
    /// cache is unchanged then.
    pub fn forward_with(
        &self,
        token_ids: Tensor<2, Int>,
        options: ForwardOptions<'_>,
    ) -> Result<Tensor<3>, BackboneError> {
        let ForwardOptions { padding_mask, mut cache, position, mut intercept, dropout } = options;
        self.check_inputs(token_ids.dims(), padding_mask.as_ref(), cache.as_deref())?;
        let [_, sequence_length] = token_ids.dims();
        if position.is_some() {
            self.check_step(sequence_length, padding_mask.is_some(), cache.as_deref())?;
        }
        let cached = cache.as_ref().map(|cache| cache.cached());
        let pass = ForwardPass { position, ..self.begin(cached, padding_mask, dropout) };
        let mut call = |x, point| match &mut intercept {
            Some(intercept) => intercept(x, point),
            None => x,
        };
        let mut x = call(self.embed(token_ids, &pass), InterceptPoint::Embeddings);
        for index in 0..self.transformer_layers.len() {
            x = self.transform(index, x, &pass, cache.as_deref_mut());
            x = call(x, InterceptPoint::TransformerLayer(index));
        }
        if let Some(cache) = cache {
            cache.advance(sequence_length);
        }
        Ok(self.layer_norm.forward(x))
    }

    /// What all layers of a pass share.
    pub(crate) fn begin(
        &self,
        cached: Option<CachedKeys>,
        padding_mask: Option<Tensor<2, Bool>>,
        dropout: Option<DropoutSeed>,
    ) -> ForwardPass {
        ForwardPass {
            padding_mask,
            cached: cached.unwrap_or_default(),
            dropout: Dropout::new(self.config.dropout, dropout),
            position: None,
            compute_dtype: None,
        }
    }

    /// The first stage: token ids to the sum of their embeddings.
    pub(crate) fn embed(&self, token_ids: Tensor<2, Int>, pass: &ForwardPass) -> Tensor<3> {
        let [_, sequence_length] = token_ids.dims();
        let mut x = match &pass.position {
            Some(position) => step_embedding(
                token_ids.flatten(0, 1),
                position.clone(),
                self.token_embedding.embeddings.val(),
                self.position_embedding.position_embeddings.val(),
            ),
            None => {
                self.token_embedding.forward(token_ids)
                    + self.position_embedding.forward(pass.cached.start, sequence_length)
            }
        };
        if let Some(dtype) = pass.compute_dtype {
            x = x.cast(dtype);
        }
        pass.drop(x, Place::Embeddings)
    }

    /// Adds the embeddings' gradients, given that of [`embed`](Self::embed)'s result.
    ///
    /// Written out, because automatic differentiation would make a table of zeros for the few rows
    /// that a batch uses, and add another table to it where the weights are tied.
    pub(crate) fn embed_backward(
        &self,
        token_ids: Tensor<2, Int>,
        gradient: Tensor<3>,
        pass: &ForwardPass,
        gradients: &mut ParameterGradients,
    ) {
        // Dropout is its own gradient.
        let gradient = pass.drop(gradient, Place::Embeddings).cast(DType::F32);
        let start = pass.cached.start as i64;
        let [_, length, _] = gradient.dims();
        let mut add = |path: &str, table: &Param<Tensor<2>>, rows, ids| {
            if !is_trainable(table) {
                return;
            }
            let shape = table.dims();
            let sum = match gradients.remove(path) {
                Some(other) => other.reshape(shape),
                None => Tensor::zeros(shape, &table.device()),
            };
            let sum = sum.select_assign(0, ids, rows, IndexingUpdateOp::Add);
            gradients.insert(path.to_owned(), sum.reshape([-1]));
        };
        let positions = Tensor::arange(start..start + length as i64, &token_ids.device());
        let by_position = gradient.clone().sum_dim(0).squeeze_dim(0);
        let table = &self.position_embedding.position_embeddings;
        add("position_embedding.position_embeddings", table, by_position, positions);
        let table = &self.token_embedding.embeddings;
        let by_token = gradient.flatten(0, 1);
        add("token_embedding.embeddings", table, by_token, token_ids.flatten(0, 1));
    }

    /// One layer.
    pub(crate) fn transform(
        &self,
        index: usize,
        x: Tensor<3>,
        pass: &ForwardPass,
        cache: Option<&mut KeyValueCache>,
    ) -> Tensor<3> {
        let cache = cache.map(|cache| cache.layer(index));
        self.transformer_layers[index].forward(x, index, pass, cache)
    }

    /// Some layers, and what comes behind the last of them.
    pub(crate) fn run_layers(
        &self,
        layers: Range<usize>,
        input: Tensor<3>,
        pass: &ForwardPass,
    ) -> Tensor<3> {
        let mut x = input;
        for index in layers.clone() {
            x = self.transform(index, x, pass, None);
        }
        if layers.end == self.transformer_layers.len() { self.layer_norm.forward(x) } else { x }
    }

    /// Logits of hidden states.
    ///
    /// # Shapes
    ///
    /// `[batch_size, sequence_length, hidden_dim] -> [batch_size, sequence_length, vocabulary_size]`
    pub fn logits(&self, hidden_states: Tensor<3>) -> Tensor<3> {
        self.token_embedding.reverse(hidden_states)
    }

    /// An empty cache for `batch_size` sequences of up to `max_length` tokens.
    ///
    /// # Errors
    ///
    /// [`BackboneError::SequenceTooLong`] if `max_length` exceeds the model's positions.
    pub fn new_cache(
        &self,
        batch_size: usize,
        max_length: usize,
    ) -> Result<KeyValueCache, BackboneError> {
        KeyValueCache::new(&self.config, batch_size, max_length, &self.device(), self.dtype())
    }

    /// Refuses a position on the device where a pass is no step.
    fn check_step(
        &self,
        sequence_length: usize,
        masked: bool,
        cache: Option<&KeyValueCache>,
    ) -> Result<(), BackboneError> {
        let found = match cache {
            None => "no cache",
            Some(cache) if cache.cached().rows.is_some() => "a cache with moved rows",
            Some(_) if sequence_length != 1 => "several tokens a row",
            Some(_) if masked => "a mask",
            Some(_) if !has_steps(&self.device(), self.config.head_dim()) => "another device",
            Some(_) => return Ok(()),
        };
        Err(BackboneError::NoStep { found })
    }

    pub(crate) fn check_inputs(
        &self,
        [batch_size, sequence_length]: [usize; 2],
        padding_mask: Option<&Tensor<2, Bool>>,
        cache: Option<&KeyValueCache>,
    ) -> Result<(), BackboneError> {
        if batch_size == 0 || sequence_length == 0 {
            return Err(BackboneError::EmptyInput { shape: [batch_size, sequence_length] });
        }
        let end = cache.map_or(0, KeyValueCache::len) + sequence_length;
        if end > self.config.max_sequence_length {
            let max_sequence_length = self.config.max_sequence_length;
            return Err(BackboneError::SequenceTooLong { end, max_sequence_length });
        }
        if let Some(cache) = cache {
            cache.reserve(batch_size, sequence_length)?;
        }
        match padding_mask {
            Some(mask) if mask.dims() != [batch_size, end] => Err(BackboneError::ShapeMismatch {
                name: "padding_mask",
                expected: vec![batch_size, end],
                found: mask.dims().to_vec(),
            }),
            _ => Ok(()),
        }
    }
}
