//! The last step of a product with a bias.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, ExtensionType};

/// The operation that follows a product and its bias.
#[derive(Debug, Clone, ExtensionType)]
pub enum Epilogue<B: Backend> {
    /// None.
    None,
    /// GPT-2's GELU.
    Gelu,
    /// The sum with a residual of the result's shape.
    Add(FloatTensor<B>),
}

impl<B: Backend> Epilogue<B> {
    /// The residual, if one is added.
    #[cfg(any(feature = "flex", all(feature = "gpu", not(feature = "fusion"))))]
    pub(super) fn residual(&self) -> Option<&FloatTensor<B>> {
        match self {
            Self::None | Self::Gelu => None,
            Self::Add(residual) => Some(residual),
        }
    }
}
