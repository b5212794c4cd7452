#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod attention_mask;
mod backbone;
mod cached_multi_head_attention;
mod config;
mod dense;
mod device;
mod error;
mod key_value_cache;
mod layer_normalization;
mod parameter;
mod position_embedding;
mod reversible_embedding;
mod transformer_decoder;

pub use backbone::{ForwardOptions, Gpt2Backbone, InterceptPoint, LayerIntercept};
pub use cached_multi_head_attention::CachedMultiHeadAttention;
pub use config::{Activation, Gpt2BackboneConfig};
pub use dense::Dense;
pub use device::parse_device;
pub use error::BackboneError;
pub use key_value_cache::KeyValueCache;
pub use layer_normalization::LayerNormalization;
pub use parameter::{
    Initializer, ParameterSource, ParameterSpec, RandomParameters, visit_parameters,
};
pub use position_embedding::PositionEmbedding;
pub use reversible_embedding::ReversibleEmbedding;
pub use transformer_decoder::TransformerDecoder;
