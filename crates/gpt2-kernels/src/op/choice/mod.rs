//! The next token, chosen of logits on their device.

#[cfg(all(feature = "gpu", not(feature = "fusion")))]
mod gpu;
mod token_choice;

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::{Device, Int, Tensor};

pub use self::token_choice::TokenChoice;
use crate::backends::composed_on;

/// A token of each row of logits, chosen on their device: no logits are sent to the host.
///
/// `vocabulary_size`, which is no valid id, is the sentinel of a row whose logits are not all finite.
/// None if the device has no kernel: see [`chooses_tokens`].
///
/// # Shapes
///
/// `logits`: `[rows, vocabulary_size]`; `numbers`, of `[0, 1)`, and the result: `[rows]`.
pub fn choose_tokens(
    logits: Tensor<2>,
    numbers: Tensor<1>,
    choice: TokenChoice,
) -> Option<Tensor<1, Int>> {
    let (logits, numbers) = (logits.into_dispatch(), numbers.into_dispatch());
    Dispatch::fused_token_choice(logits, numbers, choice).map(Tensor::from_dispatch)
}

/// The `k` most probable tokens of each row of logits, in the order of their numbers, and their
/// probabilities `softmax(logits / temperature)` before them.
///
/// For a row whose logits are not all finite, all tokens are `vocabulary_size`. None if the device
/// has no kernel: see [`chooses_tokens`].
///
/// # Shapes
///
/// `logits`: `[rows, vocabulary_size]`, of at least `k`; the results: `[rows, k]`.
///
/// # Panics
///
/// If `k` is 0 or larger than a row.
pub fn top_tokens(
    logits: Tensor<2>,
    k: usize,
    temperature: f32,
) -> Option<(Tensor<2>, Tensor<2, Int>)> {
    let [_, width] = logits.dims();
    assert!((1..=width).contains(&k), "{k} tokens of {width}");
    let found = Dispatch::fused_top_tokens(logits.into_dispatch(), k, temperature);
    let (probabilities, tokens) = found?;
    Some((Tensor::from_dispatch(probabilities), Tensor::from_dispatch(tokens)))
}

/// Whether [`choose_tokens`] and [`top_tokens`] have kernels on a device, in this build.
pub fn chooses_tokens(device: &Device) -> bool {
    #[cfg(all(feature = "gpu", not(feature = "fusion")))]
    if let burn::backend::DispatchDevice::Cube(_) = device.as_dispatch() {
        return crate::setting::setting() != Some("composed");
    }
    let _ = device;
    false
}

/// Token choice on a backend.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(any(feature = "wgpu", feature = "cuda")),
    Autodiff
)]
pub trait ChoiceOps: Backend {
    /// A token of each row of logits, `[rows, vocabulary_size]`, given a number of `[0, 1)` for each
    /// row, or `vocabulary_size` where the logits are not all finite. None without a kernel.
    fn fused_token_choice(
        logits: FloatTensor<Self>,
        numbers: FloatTensor<Self>,
        choice: TokenChoice,
    ) -> Option<IntTensor<Self>> {
        let _ = (logits, numbers, choice);
        None
    }

    /// The `k` most probable tokens of each row of logits, in the order of their numbers, and their
    /// probabilities before them: `[rows, k]` each. For a row whose logits are not all finite, all
    /// tokens are `vocabulary_size`. None without a kernel.
    fn fused_top_tokens(
        logits: FloatTensor<Self>,
        k: usize,
        temperature: f32,
    ) -> Option<(FloatTensor<Self>, IntTensor<Self>)> {
        let _ = (logits, k, temperature);
        None
    }
}

composed_on!(ChoiceOps: Flex, NdArray, FusedCube, Autodiff);
