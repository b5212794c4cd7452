//! Fully connected layer: `x W + b`.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use crate::dropout::Place;
use crate::lora::Lora;
use crate::parameter::{Initializer, ParameterReader, ParameterSource};
use crate::pass_state::PassState;
use crate::weight;

/// Standard deviation of KerasHub's kernel initialiser for GPT-2 (`_gpt_2_kernel_initializer` in
/// `gpt2_backbone.py`).
const KERNEL_STDDEV: f64 = 0.02;

/// A kernel and a bias, under Keras' names.
///
/// The kernel has the layout of Keras and of OpenAI's checkpoints, `[input, output]`.
#[derive(Module, Debug)]
pub struct Dense {
    /// `[input_dim, output_dim]`.
    pub kernel: Param<Tensor<2>>,
    /// `[output_dim]`.
    pub bias: Param<Tensor<1>>,
    /// LoRA, once enabled; its product is added to the kernel.
    pub lora: Option<Lora>,
    /// Number of heads that are adjacent in the output. In Keras they are an axis of the kernel.
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

    /// Sets the number of heads that are adjacent in the output. Default: 1.
    pub(crate) fn with_groups(mut self, groups: usize) -> Self {
        self.groups = groups;
        self
    }

    /// Adds a LoRA of this rank; see [`Gpt2Backbone::enable_lora`](crate::Gpt2Backbone::enable_lora).
    pub(crate) fn enable_lora(&mut self, rank: usize, seed: u64) {
        self.lora = Some(Lora::new(&self.kernel.val(), self.groups, rank, seed));
    }

    /// Adds the LoRA's product to the kernel and removes the LoRA. The layer's function stays the
    /// same.
    pub(crate) fn merge_lora(&mut self) {
        if let Some(lora) = self.lora.take() {
            self.kernel = self.kernel.clone().map(|kernel| kernel + lora.delta());
        }
    }

    /// Number of heads that are adjacent in the output, or 1.
    pub fn groups(&self) -> usize {
        self.groups
    }

    /// Applies the layer to the last axis.
    ///
    /// # Shapes
    ///
    /// `[batch_size, sequence_length, input_dim] -> [batch_size, sequence_length, output_dim]`
    pub fn forward(&self, input: Tensor<3>) -> Tensor<3> {
        let [output] = on_rows(input, |rows| {
            let adapted = self.lora.as_ref().map(|lora| lora.forward(rows.clone()));
            let output = weight::dense(rows, &self.kernel, &self.bias);
            match adapted {
                Some(adapted) => [output + adapted],
                None => [output],
            }
        });
        output
    }

    /// Applies three layers of the same size to the same input.
    pub(crate) fn forward_three(layers: [&Self; 3], input: Tensor<3>) -> [Tensor<3>; 3] {
        if layers.iter().any(|layer| layer.lora.is_some()) {
            return layers.map(|layer| layer.forward(input.clone()));
        }
        let (kernels, biases) =
            (layers.map(|layer| &layer.kernel), layers.map(|layer| &layer.bias));
        on_rows(input, |rows| weight::dense_three(rows, kernels, biases))
    }

    /// Applies the layer, then GPT-2's GELU.
    pub(crate) fn forward_gelu(&self, input: Tensor<3>) -> Tensor<3> {
        if self.lora.is_some() {
            return gpt2_kernels::gelu(self.forward(input));
        }
        let [output] = on_rows(input, |rows| [weight::dense_gelu(rows, &self.kernel, &self.bias)]);
        output
    }

    /// Applies the layer and dropout, and adds the result to `residual`.
    pub(crate) fn add_to(
        &self,
        residual: Tensor<3>,
        input: Tensor<3>,
        pass: &PassState,
        place: Place,
    ) -> Tensor<3> {
        if self.lora.is_some() || pass.dropout.is_some() {
            return residual + pass.drop(self.forward(input), place);
        }
        let residual = residual.flatten(0, 1);
        let [output] =
            on_rows(input, |rows| [weight::dense_add(residual, rows, &self.kernel, &self.bias)]);
        output
    }
}

/// Views all positions of all sequences as one matrix: with a product a sequence, the kernel would
/// be prepared for each.
fn on_rows<const N: usize>(
    input: Tensor<3>,
    compute: impl FnOnce(Tensor<2>) -> [Tensor<2>; N],
) -> [Tensor<3>; N] {
    let [batch_size, sequence_length, _] = input.dims();
    compute(input.flatten(0, 1)).map(|output| {
        let [_, output_dim] = output.dims();
        output.reshape([batch_size, sequence_length, output_dim])
    })
}
