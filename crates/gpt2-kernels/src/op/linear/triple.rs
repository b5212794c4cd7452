//! Three tensors of the same shape.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, ExtensionType};

/// Kernels, biases or results of three products.
#[derive(Debug, Clone, ExtensionType)]
pub struct Triple<B: Backend> {
    first: FloatTensor<B>,
    second: FloatTensor<B>,
    third: FloatTensor<B>,
}

impl<B: Backend> Triple<B> {
    /// The tensors in order.
    pub(super) fn into_array(self) -> [FloatTensor<B>; 3] {
        [self.first, self.second, self.third]
    }
}

impl<B: Backend> From<[FloatTensor<B>; 3]> for Triple<B> {
    fn from([first, second, third]: [FloatTensor<B>; 3]) -> Self {
        Self { first, second, third }
    }
}
