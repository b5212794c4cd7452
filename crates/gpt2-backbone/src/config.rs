//! Hyperparameters of a GPT-2, with KerasHub's keys, defaults and checks.

use serde::{Deserialize, Serialize};

use crate::error::BackboneError;

/// Limit on parameters, far above any GPT-2: 2^38 are a terabyte in 32-bit floats.
const MAX_PARAMETERS: u128 = 1 << 38;
/// Limit on layers: GPT-2 has at most 48, and even a narrow layer costs time and memory.
const MAX_LAYERS: usize = 10_000;

/// Hyperparameters of a [`Gpt2Backbone`](crate::Gpt2Backbone).
///
/// The first seven fields are the arguments of KerasHub's `GPT2Backbone`
/// (`keras_hub/src/models/gpt2/gpt2_backbone.py`) and serialise under its keys. The others exist
/// in checkpoints of the transformers library; KerasHub fixes them at the defaults given here.
///
/// ```
/// use gpt2_backbone::Gpt2BackboneConfig;
///
/// let base = Gpt2BackboneConfig::new(50_257, 12, 12, 768, 3072);
/// assert_eq!(base.parameter_count(), 124_439_808);
/// assert!(base.with_num_heads(7).validate().is_err());
/// ```
#[doc(alias = "GPT2BackboneConfig")]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gpt2BackboneConfig {
    /// Number of tokens in the vocabulary, the rows of the token embedding.
    pub vocabulary_size: usize,
    /// Number of transformer layers.
    pub num_layers: usize,
    /// Number of attention heads a layer, a divisor of `hidden_dim`.
    pub num_heads: usize,
    /// Width of the hidden states.
    pub hidden_dim: usize,
    /// Width of the feed-forward network's hidden activation.
    pub intermediate_dim: usize,
    /// Dropout rate in training, from 0 to 1.
    #[serde(default = "default_dropout")]
    pub dropout: f64,
    /// Number of learned positions: the longest sequence, in tokens.
    #[serde(default = "default_max_sequence_length")]
    pub max_sequence_length: usize,
    /// Summand of the variance in every layer normalisation.
    #[serde(default = "default_epsilon", skip_serializing_if = "is_default_epsilon")]
    pub layer_norm_epsilon: f64,
    /// Activation of the feed-forward network.
    #[serde(default, skip_serializing_if = "is_default")]
    pub activation: Activation,
    /// Whether attention scores are divided by the square root of the head size.
    #[serde(default = "enabled", skip_serializing_if = "is_enabled")]
    pub scale_attention: bool,
    /// Whether layer `i` also divides its attention scores by `i + 1`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub scale_attention_by_layer: bool,
    /// Whether the token embedding also computes the logits.
    #[serde(default = "enabled", skip_serializing_if = "is_enabled")]
    pub tie_weights: bool,
}

/// Activation of the feed-forward network, under the transformers library's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))`: GPT-2's own. KerasHub has no other.
    #[default]
    GeluNew,
    /// `x Phi(x)`, with the error function.
    Gelu,
    /// `max(x, 0)`.
    Relu,
    /// `x / (1 + exp(-x))`.
    Silu,
    /// The hyperbolic tangent.
    Tanh,
}

impl Gpt2BackboneConfig {
    /// Keys of a serialised config. Other keys are ignored when one is read.
    pub const KEYS: [&str; 12] = [
        "vocabulary_size",
        "num_layers",
        "num_heads",
        "hidden_dim",
        "intermediate_dim",
        "dropout",
        "max_sequence_length",
        "layer_norm_epsilon",
        "activation",
        "scale_attention",
        "scale_attention_by_layer",
        "tie_weights",
    ];

    /// Config of these sizes, with KerasHub's defaults for the rest.
    pub fn new(
        vocabulary_size: usize,
        num_layers: usize,
        num_heads: usize,
        hidden_dim: usize,
        intermediate_dim: usize,
    ) -> Self {
        Self {
            vocabulary_size,
            num_layers,
            num_heads,
            hidden_dim,
            intermediate_dim,
            dropout: default_dropout(),
            max_sequence_length: default_max_sequence_length(),
            layer_norm_epsilon: default_epsilon(),
            activation: Activation::default(),
            scale_attention: true,
            scale_attention_by_layer: false,
            tie_weights: true,
        }
    }

    /// Sets the number of attention heads.
    #[must_use]
    pub fn with_num_heads(mut self, num_heads: usize) -> Self {
        self.num_heads = num_heads;
        self
    }

    /// Sets the dropout rate.
    #[must_use]
    pub fn with_dropout(mut self, dropout: f64) -> Self {
        self.dropout = dropout;
        self
    }

    /// Sets the number of learned positions.
    #[must_use]
    pub fn with_max_sequence_length(mut self, max_sequence_length: usize) -> Self {
        self.max_sequence_length = max_sequence_length;
        self
    }

    /// Size of one attention head.
    pub fn head_dim(&self) -> usize {
        self.hidden_dim / self.num_heads
    }

    /// Factor that layer `layer` applies to its queries.
    pub(crate) fn query_scale(&self, layer: usize) -> f64 {
        let by_head = if self.scale_attention { (self.head_dim() as f64).sqrt() } else { 1.0 };
        let by_layer = if self.scale_attention_by_layer { (layer + 1) as f64 } else { 1.0 };
        1.0 / (by_head * by_layer)
    }

    /// Number of parameters; tied embeddings count once.
    ///
    /// Saturates at the largest integer, far above the configs that [`validate`](Self::validate)
    /// accepts.
    pub fn parameter_count(&self) -> u128 {
        let size = |n: usize| n as u128;
        let (hidden, inner) = (size(self.hidden_dim), size(self.intermediate_dim));
        let product = |a: u128, b: u128| a.saturating_mul(b);
        let attention = product(4, product(hidden, hidden).saturating_add(hidden));
        let feed_forward =
            product(2, product(hidden, inner)).saturating_add(hidden).saturating_add(inner);
        let layer = attention.saturating_add(feed_forward).saturating_add(product(4, hidden));
        let embeddings = if self.tie_weights { 1 } else { 2 };
        product(size(self.num_layers), layer)
            .saturating_add(product(product(embeddings, size(self.vocabulary_size)), hidden))
            .saturating_add(product(size(self.max_sequence_length), hidden))
            .saturating_add(product(2, hidden))
    }

    /// Checks all values. Allocates nothing.
    ///
    /// # Errors
    ///
    /// [`BackboneError::InvalidConfig`], [`BackboneError::HeadsDoNotDivideHidden`] or
    /// [`BackboneError::TooManyParameters`].
    pub fn validate(&self) -> Result<(), BackboneError> {
        for (key, value) in [
            ("vocabulary_size", self.vocabulary_size),
            ("num_layers", self.num_layers),
            ("num_heads", self.num_heads),
            ("hidden_dim", self.hidden_dim),
            ("intermediate_dim", self.intermediate_dim),
            ("max_sequence_length", self.max_sequence_length),
        ] {
            if value == 0 {
                return Err(invalid(key, "a positive integer", value));
            }
        }
        if self.num_layers > MAX_LAYERS {
            let expected = format!("at most {MAX_LAYERS}");
            return Err(invalid("num_layers", &expected, self.num_layers));
        }
        if !(0.0..=1.0).contains(&self.dropout) {
            return Err(invalid("dropout", "a float value between 0 and 1", self.dropout));
        }
        if !(self.layer_norm_epsilon.is_finite() && self.layer_norm_epsilon > 0.0) {
            let found = self.layer_norm_epsilon;
            return Err(invalid("layer_norm_epsilon", "a positive number", found));
        }
        if !self.hidden_dim.is_multiple_of(self.num_heads) {
            return Err(BackboneError::HeadsDoNotDivideHidden {
                hidden_dim: self.hidden_dim,
                num_heads: self.num_heads,
            });
        }
        let parameters = self.parameter_count();
        if parameters > MAX_PARAMETERS {
            return Err(BackboneError::TooManyParameters { parameters, limit: MAX_PARAMETERS });
        }
        Ok(())
    }
}

fn invalid(key: &'static str, expected: &str, found: impl ToString) -> BackboneError {
    BackboneError::InvalidConfig { key, expected: expected.to_owned(), found: found.to_string() }
}

fn default_dropout() -> f64 {
    0.1
}

fn default_max_sequence_length() -> usize {
    1024
}

fn default_epsilon() -> f64 {
    1e-5
}

fn enabled() -> bool {
    true
}

fn is_enabled(value: &bool) -> bool {
    *value
}

fn is_default_epsilon(value: &f64) -> bool {
    *value == default_epsilon()
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> Gpt2BackboneConfig {
        Gpt2BackboneConfig::new(50_257, 12, 12, 768, 3072)
    }

    #[test]
    fn parameter_counts_of_the_presets_are_exact() {
        for (layers, heads, hidden, expected) in [
            (12, 12, 768, 124_439_808),
            (24, 16, 1024, 354_823_168),
            (36, 20, 1280, 774_030_080),
            (48, 25, 1600, 1_557_611_200),
        ] {
            let config = Gpt2BackboneConfig::new(50_257, layers, heads, hidden, 4 * hidden);
            assert_eq!(config.parameter_count(), expected);
            config.validate().unwrap();
        }
    }

    #[test]
    fn keras_keys_round_trip_and_defaults_apply() {
        let json = r#"{"vocabulary_size":10,"num_layers":2,"num_heads":2,"hidden_dim":2,"intermediate_dim":4}"#;
        let config: Gpt2BackboneConfig = serde_json::from_str(json).unwrap();
        assert_eq!(config, Gpt2BackboneConfig::new(10, 2, 2, 2, 4));
        assert_eq!((config.dropout, config.max_sequence_length), (0.1, 1024));
        let written = serde_json::to_value(&config).unwrap();
        let keys: Vec<_> = written.as_object().unwrap().keys().cloned().collect();
        assert_eq!(keys.len(), 7, "only KerasHub's keys are written: {keys:?}");
        assert_eq!(serde_json::from_value::<Gpt2BackboneConfig>(written).unwrap(), config);
        // A config whose values all differ from the defaults has all keys.
        let all = Gpt2BackboneConfig {
            layer_norm_epsilon: 1.0,
            activation: Activation::Relu,
            scale_attention: false,
            scale_attention_by_layer: true,
            tie_weights: false,
            ..config
        };
        let written = serde_json::to_value(all).unwrap();
        assert!(written.as_object().unwrap().keys().eq(&Gpt2BackboneConfig::KEYS));
    }

    #[test]
    fn every_bad_value_is_named() {
        type Spoil = fn(&mut Gpt2BackboneConfig);
        let broken: [(&str, Spoil); 8] = [
            ("vocabulary_size", |c| c.vocabulary_size = 0),
            ("num_layers", |c| c.num_layers = 0),
            ("num_heads", |c| c.num_heads = 0),
            ("hidden_dim", |c| c.hidden_dim = 0),
            ("intermediate_dim", |c| c.intermediate_dim = 0),
            ("max_sequence_length", |c| c.max_sequence_length = 0),
            ("dropout", |c| c.dropout = f64::NAN),
            ("layer_norm_epsilon", |c| c.layer_norm_epsilon = -1e-5),
        ];
        for (key, spoil) in broken {
            let mut config = base();
            spoil(&mut config);
            let message = config.validate().unwrap_err().to_string();
            assert!(message.contains(key), "{message}");
        }
        assert_eq!(
            base().with_num_heads(7).validate(),
            Err(BackboneError::HeadsDoNotDivideHidden { hidden_dim: 768, num_heads: 7 })
        );
    }

    #[test]
    fn a_size_that_no_memory_holds_is_refused() {
        let mut config = base();
        config.num_layers = 1_000_000_000;
        assert!(matches!(
            config.validate(),
            Err(BackboneError::InvalidConfig { key: "num_layers", .. })
        ));
        config.num_layers = 10_000;
        config.hidden_dim = usize::MAX / 12 * 12;
        assert!(matches!(config.validate(), Err(BackboneError::TooManyParameters { .. })));
    }
}
