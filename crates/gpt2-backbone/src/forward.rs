//! The forward pass: token ids to hidden states.

use std::ops::Range;

use burn::tensor::{Bool, DType, Int, Tensor};
use gpt2_kernels::{CachedKeys, has_steps};

use crate::backbone::Gpt2Backbone;
use crate::dropout::{Dropout, DropoutSeed, Place};
use crate::error::BackboneError;
use crate::key_value_cache::KeyValueCache;
use crate::pass_state::PassState;
use crate::weight;

/// Place in the forward pass at which an intercept is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InterceptPoint {
    /// After the sum of token and position embedding; KerasHub's index -1.
    Embeddings,
    /// After the transformer layer with this index.
    TransformerLayer(usize),
}

/// Receives the activations at every [`InterceptPoint`] and returns those with which the pass
/// continues.
///
/// Shapes: `[batch_size, sequence_length, hidden_dim]`, unchanged.
pub type LayerIntercept<'a> = dyn FnMut(Tensor<3>, InterceptPoint) -> Tensor<3> + 'a;

/// Optional inputs of a forward pass.
#[derive(Default)]
pub struct ForwardOptions<'a> {
    /// Mask, true where a token may be seen: `[batch_size, tokens in the cache + sequence_length]`.
    /// Default: all are seen.
    pub padding_mask: Option<Tensor<2, Bool>>,
    /// Cache of the tokens before the new ones. Updated in place.
    pub cache: Option<&'a mut KeyValueCache>,
    /// Number of tokens in the cache, `[1]`, on the device. For a step: one token a row after the
    /// cache, without a mask, on a device that [has steps](gpt2_kernels::has_steps). The cache
    /// also counts the token, for its own checks.
    pub position: Option<Tensor<1, Int>>,
    /// Called with the activations of every layer.
    pub intercept: Option<&'a mut LayerIntercept<'a>>,
    /// Seed of dropout at the config's rate. Default: no dropout, as in inference.
    pub dropout: Option<DropoutSeed>,
}

impl Gpt2Backbone {
    /// Computes hidden states of token ids.
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

    /// Forward pass with an optional cache, mask and intercept. Training uses the same layers.
    ///
    /// Token ids must be below `vocabulary_size`. This is not checked, because the ids would have
    /// to be read back from the device. Backends differ in what they do with other ids; flex
    /// panics. Check ids from a user first.
    ///
    /// # Shapes
    ///
    /// `token_ids`: `[batch_size, sequence_length]`; result: `[batch_size, sequence_length,
    /// hidden_dim]`.
    ///
    /// # Errors
    ///
    /// [`BackboneError::EmptyInput`], [`BackboneError::SequenceTooLong`],
    /// [`BackboneError::CacheFull`], [`BackboneError::ShapeMismatch`] and
    /// [`BackboneError::NoStep`]. The cache is then unchanged.
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
        let pass = PassState { position, ..self.begin(cached, padding_mask, dropout, None) };
        let mut call = |x, point| match &mut intercept {
            Some(intercept) => intercept(x, point),
            None => x,
        };
        let x = call(self.embed(token_ids, &pass), InterceptPoint::Embeddings);
        let layers = 0..self.transformer_layers.len();
        let x = self.run_layers(layers, x, &pass, cache.as_deref_mut(), &mut call);
        if let Some(cache) = cache {
            cache.advance(sequence_length);
        }
        Ok(x)
    }

    /// State that all layers of a pass share. Default of `compute_dtype`: the model's.
    pub(crate) fn begin(
        &self,
        cached: Option<CachedKeys>,
        padding_mask: Option<Tensor<2, Bool>>,
        dropout: Option<DropoutSeed>,
        compute_dtype: Option<DType>,
    ) -> PassState {
        PassState {
            padding_mask,
            cached: cached.unwrap_or_default(),
            dropout: Dropout::new(self.config().dropout, dropout),
            position: None,
            compute_dtype: compute_dtype.unwrap_or_else(|| self.compute_dtype()),
        }
    }

    /// First stage: sums the token and position embeddings.
    pub(crate) fn embed(&self, token_ids: Tensor<2, Int>, pass: &PassState) -> Tensor<3> {
        let [_, sequence_length] = token_ids.dims();
        let x = match &pass.position {
            Some(position) => {
                let tables = [
                    &self.token_embedding.embeddings,
                    &self.position_embedding.position_embeddings,
                ];
                weight::step_rows(token_ids.flatten(0, 1), position.clone(), tables)
            }
            None => {
                self.token_embedding.forward(token_ids)
                    + self.position_embedding.forward(pass.cached.start, sequence_length)
            }
        };
        let x = if x.dtype() == pass.compute_dtype { x } else { x.cast(pass.compute_dtype) };
        pass.drop(x, Place::Embeddings)
    }

    /// Runs a range of layers, and the final normalisation after the model's last. `each` receives
    /// every layer's output and returns the next layer's input.
    pub(crate) fn run_layers(
        &self,
        layers: Range<usize>,
        input: Tensor<3>,
        pass: &PassState,
        mut cache: Option<&mut KeyValueCache>,
        each: &mut LayerIntercept<'_>,
    ) -> Tensor<3> {
        let mut x = input;
        for index in layers.clone() {
            let cache = cache.as_deref_mut().map(|cache| cache.layer(index));
            x = self.transformer_layers[index].forward(x, index, pass, cache);
            x = each(x, InterceptPoint::TransformerLayer(index));
        }
        if layers.end == self.transformer_layers.len() { self.layer_norm.forward(x) } else { x }
    }

    /// Returns an error if the position is on the device and the pass is not a step.
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
            Some(_) if !has_steps(&self.device(), self.config().head_dim()) => "another device",
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
        if end > self.config().max_sequence_length {
            let max_sequence_length = self.config().max_sequence_length;
            return Err(BackboneError::SequenceTooLong { end, max_sequence_length });
        }
        if let Some(cache) = cache {
            cache.check_room(batch_size, sequence_length)?;
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
