#![doc = include_str!("../README.md")]
#![cfg_attr(
    feature = "ndarray",
    allow(deprecated, reason = "burn deprecates the backend; users may still ask for it")
)]

mod backends;
mod cores;
#[cfg(feature = "flex")]
mod cpu;
mod device;
#[cfg(all(feature = "gpu", not(feature = "fusion")))]
mod gpu;
mod memory;
mod op;
mod random;
mod reading;
mod setting;
#[cfg(feature = "wgpu")]
mod shaders;
mod step;

pub use cores::run_on_cores;
#[cfg(feature = "flex")]
pub use cpu::simd::cpu_vectors;
pub use device::{
    BACKENDS, DeviceError, DeviceInfo, PendingRead, check_float_type, devices, is_compiled,
    parse_device, read, read_f32, start_read,
};
pub use memory::reuse_memory;
pub use op::adam::{AdamStep, adam, scale, square_sum, weight_decay};
pub use op::attention::{
    AttentionOptions, CachedKeys, Caches, Qkv, attention, cached_attention, step_attention,
};
pub use op::choice::{TokenChoice, choose_tokens, chooses_tokens, top_tokens};
pub use op::column_sums::column_sums;
pub use op::cross_entropy::{
    CrossEntropy, CrossEntropyGradients, CrossEntropyOutput, cross_entropy,
};
pub use op::dropout::{DropoutKey, dropout};
pub use op::gelu::gelu;
pub use op::layer_norm::layer_norm;
pub use op::linear::{linear, linear_add, linear_gelu, projections};
pub use op::reverse_embedding::reverse_embedding;
pub use random::counted_random;
pub use reading::Reading;
#[cfg(feature = "wgpu")]
pub use shaders::has_valid_shaders;
pub use step::{Repeated, StepPlan, StepState, has_steps, step_embedding};
