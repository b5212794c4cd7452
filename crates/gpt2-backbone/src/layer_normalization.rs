//! Layer normalisation over the hidden axis.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use gpt2_kernels::layer_norm;

use crate::parameter::{Initializer, ParameterReader, ParameterSource};

/// Computes `(x - mean) / sqrt(variance + epsilon) * gamma + beta`, with the biased variance ([Ba
/// et al., 2016](https://arxiv.org/abs/1607.06450)).
#[derive(Module, Debug)]
pub struct LayerNormalization {
    /// Scale, `[hidden_dim]`.
    pub gamma: Param<Tensor<1>>,
    /// Shift, `[hidden_dim]`.
    pub beta: Param<Tensor<1>>,
    epsilon: f64,
}

impl LayerNormalization {
    pub(crate) fn read<S: ParameterSource>(
        mut reader: ParameterReader<'_, S>,
        hidden_dim: usize,
        epsilon: f64,
    ) -> Result<Self, S::Error> {
        Ok(Self {
            gamma: reader.parameter("gamma", [hidden_dim], Initializer::Ones)?,
            beta: reader.parameter("beta", [hidden_dim], Initializer::Zeros)?,
            epsilon,
        })
    }

    /// Normalises every position separately. Computes in 32-bit floats for any input type, as Keras
    /// does.
    ///
    /// # Shapes
    ///
    /// `[batch_size, sequence_length, hidden_dim]`, unchanged.
    pub fn forward(&self, input: Tensor<3>) -> Tensor<3> {
        let shape = input.dims();
        let rows = input.flatten(0, 1);
        layer_norm(rows, self.gamma.val(), self.beta.val(), self.epsilon).reshape(shape)
    }
}
