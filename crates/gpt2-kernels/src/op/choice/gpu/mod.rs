//! Token choice on a GPU: a cube for each row.

mod choose;
mod top;

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn_cubecl::CubeBackend;

use super::ChoiceOps;
use super::token_choice::TokenChoice;
use crate::gpu::tensors::has_kernel;

impl ChoiceOps for CubeBackend {
    fn fused_token_choice(
        logits: FloatTensor<Self>,
        numbers: FloatTensor<Self>,
        choice: TokenChoice,
    ) -> Option<IntTensor<Self>> {
        has_kernel(&[&logits]).then(|| choose::choose(logits, numbers, choice))
    }

    fn fused_top_tokens(
        logits: FloatTensor<Self>,
        k: usize,
        temperature: f32,
    ) -> Option<(FloatTensor<Self>, IntTensor<Self>)> {
        has_kernel(&[&logits]).then(|| top::top_tokens(logits, k, temperature))
    }
}
