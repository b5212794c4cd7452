//! Check whether a device can repeat a step.

use burn::tensor::Device;

#[cfg(all(feature = "gpu", not(feature = "fusion"), not(target_family = "wasm")))]
use crate::op::{attention::gpu::has_step_attention, choice::chooses_tokens};

/// Whether a device has the kernels of a repeated step for heads of this size:
/// [`step_embedding`](crate::step_embedding) and [`step_attention`](crate::step_attention).
pub fn has_steps(device: &Device, head_dim: usize) -> bool {
    // Browsers refuse a barrier in a loop whose bound is read from memory: units might differ.
    #[cfg(all(feature = "gpu", not(feature = "fusion"), not(target_family = "wasm")))]
    if chooses_tokens(device) {
        return has_step_attention(head_dim);
    }
    let _ = (device, head_dim);
    false
}
