//! Choice of the next token on the logits' device.

#[cfg(all(feature = "gpu", not(feature = "fusion")))]
mod gpu;
mod token_choice;

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::{Device, Int, Tensor};

pub use self::token_choice::TokenChoice;
use crate::backends::composed_on;

/// Chooses a token for each row of logits on their device: no logits are sent to the host.
///
/// `vocabulary_size`, which is not a valid id, is the sentinel of a row with non-finite logits.
/// None if the device has no kernel: see [`chooses_tokens`].
///
/// # Shapes
///
/// `logits`: `[rows, vocabulary_size]`; `numbers`, uniform in `[0, 1)`, and the result: `[rows]`.
pub fn choose_tokens(
    logits: Tensor<2>,
    numbers: Tensor<1>,
    choice: TokenChoice,
) -> Option<Tensor<1, Int>> {
    let (logits, numbers) = (logits.into_dispatch(), numbers.into_dispatch());
    Dispatch::fused_token_choice(logits, numbers, choice).map(Tensor::from_dispatch)
}

/// The `k` most probable tokens of each row of logits by ascending id. Returns the probabilities,
/// `softmax(logits / temperature)`, and the tokens.
///
/// In a row with non-finite logits all tokens are `vocabulary_size`. None if the device has no
/// kernel: see [`chooses_tokens`].
///
/// # Shapes
///
/// `logits`: `[rows, vocabulary_size]`, with `vocabulary_size` of at least `k`; the results:
/// `[rows, k]`.
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

/// Whether this build has kernels of [`choose_tokens`] and [`top_tokens`] for a device.
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
    /// Chooses a token for each row of logits, `[rows, vocabulary_size]`, by a random number of
    /// `[0, 1)` a row. A row with non-finite logits gets `vocabulary_size`. None without a kernel.
    fn fused_token_choice(
        logits: FloatTensor<Self>,
        numbers: FloatTensor<Self>,
        choice: TokenChoice,
    ) -> Option<IntTensor<Self>> {
        let _ = (logits, numbers, choice);
        None
    }

    /// The probabilities and the ids of the `k` most probable tokens of each row of logits, by
    /// ascending id: `[rows, k]` each. In a row with non-finite logits all ids are
    /// `vocabulary_size`. None without a kernel.
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
