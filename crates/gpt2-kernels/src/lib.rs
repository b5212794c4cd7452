#![doc = include_str!("../README.md")]

mod attention;
mod backward;
mod composed;
#[cfg(feature = "flex")]
mod cpu;
mod kernels;
mod operations;

pub use attention::{AttentionOptions, CachedKeys, DropoutKey, counted_random};
pub use operations::{
    attention, cached_attention, dropout, gelu, layer_norm, linear, linear_add, linear_gelu,
    reverse_embedding, run_on_cores,
};
