//! A fully connected layer: `x W + b`.

use burn::module::{Module, Param};
use burn::tensor::{Tensor, module::linear};

use crate::parameter::{Initializer, ParameterReader, ParameterSource};

/// Standard deviation of KerasHub's kernel initialiser for GPT-2 (`gpt2_backbone.py`, `_gpt_2_kernel_initializer`).
const KERNEL_STDDEV: f64 = 0.02;

/// A kernel and a bias, under Keras' names.
///
/// The kernel is stored as Keras and OpenAI store it, `[input, output]`, so no loader transposes.
#[derive(Module, Debug)]
pub struct Dense {
    /// `[input_dim, output_dim]`.
    pub kernel: Param<Tensor<2>>,
    /// `[output_dim]`.
    pub bias: Param<Tensor<1>>,
}

impl Dense {
    pub(crate) fn read<S: ParameterSource>(
        mut reader: ParameterReader<'_, S>,
        input_dim: usize,
        output_dim: usize,
    ) -> Result<Self, S::Error> {
        let normal = Initializer::Normal { stddev: KERNEL_STDDEV };
        Ok(Self {
            kernel: reader.parameter("kernel", [input_dim, output_dim], normal)?,
            bias: reader.parameter("bias", [output_dim], Initializer::Zeros)?,
        })
    }

    /// Applies the layer to the last axis.
    ///
    /// # Shapes
    ///
    /// `[batch_size, sequence_length, input_dim] -> [batch_size, sequence_length, output_dim]`
    pub fn forward(&self, input: Tensor<3>) -> Tensor<3> {
        let [batch_size, sequence_length, input_dim] = input.dims();
        let [_, output_dim] = self.kernel.dims();
        // One matrix product: a batch of small ones packs the kernel again for each row.
        let rows = input.reshape([batch_size * sequence_length, input_dim]);
        linear(rows, self.kernel.val(), Some(self.bias.val())).reshape([
            batch_size,
            sequence_length,
            output_dim,
        ])
    }
}
