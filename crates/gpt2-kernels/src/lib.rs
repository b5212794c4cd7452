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
mod reading;
mod repeated;
mod setting;
#[cfg(feature = "wgpu")]
mod shaders;
mod step_state;
mod step_tensors;
mod token_choice;

pub use adam::{AdamStep, Moments};
pub use attention::{AttentionOptions, CachedKeys, DropoutKey, counted_random};
pub use cross_entropy::{CrossEntropy, CrossEntropyGradients};
pub use memory::reuse_memory;
pub use operations::{
    CrossEntropyOutput, adam, attention, cached_attention, choose_tokens, chooses_tokens,
    cross_entropy, dropout, gelu, has_steps, layer_norm, linear, linear_add, linear_gelu,
    projections, reverse_embedding, run_on_cores, scale, square_sum, step_attention,
    step_embedding, top_tokens, weight_decay,
};
pub use reading::Reading;
pub use repeated::Repeated;
#[cfg(feature = "wgpu")]
pub use shaders::has_valid_shaders;
pub use step_state::{StepPlan, StepState};
pub use token_choice::TokenChoice;
