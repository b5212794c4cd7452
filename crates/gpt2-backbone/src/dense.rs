//! A fully connected layer: `x W + b`.

use burn::module::{Module, Param};
use burn::tensor::{Tensor, module::linear};

use crate::lora::Lora;
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
    /// Added to the kernel, once LoRA is enabled.
    pub lora: Option<Lora>,
    /// Heads that lie side by side in the output; in Keras an axis of the kernel's own.
    groups: usize,
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
            lora: None,
            groups: 1,
        })
    }

    /// Says that the output is that of `groups` heads.
    pub(crate) fn with_groups(mut self, groups: usize) -> Self {
        self.groups = groups;
        self
    }

    /// Adds a LoRA of this rank; see [`Gpt2Backbone::enable_lora`](crate::Gpt2Backbone::enable_lora).
    pub(crate) fn enable_lora(&mut self, rank: usize, seed: u64) {
        self.lora = Some(Lora::new(&self.kernel.val(), self.groups, rank, seed));
    }

    /// Adds the LoRA's product to the kernel and removes it; the layer computes the same.
    pub(crate) fn merge_lora(&mut self) {
        if let Some(lora) = self.lora.take() {
            self.kernel = self.kernel.clone().map(|kernel| kernel + lora.delta());
        }
    }

    /// Heads that lie side by side in the output, or 1.
    pub fn groups(&self) -> usize {
        self.groups
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
        let adapted = self.lora.as_ref().map(|lora| lora.forward(rows.clone()));
        let mut output = linear(rows, self.kernel.val(), Some(self.bias.val()));
        if let Some(adapted) = adapted {
            output = output + adapted;
        }
        output.reshape([batch_size, sequence_length, output_dim])
    }
}
