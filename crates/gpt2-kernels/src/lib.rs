#![doc = include_str!("../README.md")]

mod adam;
mod attention;
mod backward;
mod composed;
#[cfg(feature = "flex")]
mod cpu;
mod cross_entropy;
#[cfg(all(feature = "gpu", not(feature = "fusion")))]
mod gpu;
mod kernels;
mod memory;
mod operations;
#[cfg(any(feature = "flex", feature = "gpu"))]
mod setting;
#[cfg(feature = "wgpu")]
mod shaders;
mod token_choice;

pub use adam::{AdamStep, Moments};
pub use attention::{AttentionOptions, CachedKeys, DropoutKey, counted_random};
pub use cross_entropy::{CrossEntropy, CrossEntropyGradients};
pub use memory::reuse_memory;
pub use operations::{
    CrossEntropyOutput, adam, attention, cached_attention, choose_tokens, chooses_tokens,
    cross_entropy, dropout, gelu, layer_norm, linear, linear_add, linear_gelu, reverse_embedding,
    run_on_cores, scale, square_sum, top_tokens, weight_decay,
};
#[cfg(feature = "wgpu")]
pub use shaders::has_valid_shaders;
pub use token_choice::TokenChoice;
