#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod backbone;
mod backward_pass;
mod cached_multi_head_attention;
mod cached_tokens;
mod config;
mod dense;
mod dropout;
mod dtype;
mod error;
mod forward;
mod key_value_cache;
mod layer_normalization;
mod lora;
mod lora_config;
mod parameter;
mod pass_state;
mod position_embedding;
mod reversible_embedding;
mod trainable;
mod transformer_decoder;
mod weight;

#[cfg(feature = "flex")]
pub use gpt2_kernels::cpu_vectors;
pub use gpt2_kernels::{
    BACKENDS, DeviceError, DeviceInfo, PendingRead, check_float_type, devices, is_compiled,
    parse_device, read, read_f32, start_read,
};

pub use backbone::Gpt2Backbone;
pub use backward_pass::{BackwardPass, TrainingOptions};
pub use cached_multi_head_attention::CachedMultiHeadAttention;
pub use config::{Activation, Gpt2BackboneConfig};
pub use dense::Dense;
pub use dropout::DropoutSeed;
pub use dtype::WeightDtype;
pub use error::BackboneError;
pub use forward::{ForwardOptions, InterceptPoint, LayerIntercept};
pub use key_value_cache::KeyValueCache;
pub use layer_normalization::LayerNormalization;
pub use lora::Lora;
pub use lora_config::LoraConfig;
pub use parameter::{
    Initializer, ParameterGradients, ParameterSource, ParameterSpec, ParameterView,
    RandomParameters, try_update_parameters, update_parameters, visit_parameters, visit_tensors,
};
pub use position_embedding::PositionEmbedding;
pub use reversible_embedding::{OutputWeights, ReversibleEmbedding};
pub use trainable::keras_shape;
pub use transformer_decoder::TransformerDecoder;
