//! LoRA: a small product that is added to a frozen kernel.

use burn::module::{Module, Param};
use burn::tensor::{Tensor, TensorData};

use crate::parameter::uniform;
use crate::weight;

/// Two narrow kernels `A` and `B`, so that a layer computes `x W + (x A) B`
/// ([Hu et al., 2021](https://arxiv.org/abs/2106.09685); `keras/src/layers/core/einsum_dense.py`).
///
/// The product `A B` is a kernel's size and is never made in training. Keras' `alpha` is its
/// default, the rank, so that there is no factor.
#[derive(Module, Debug)]
pub struct Lora {
    /// `[input_dim, groups * rank]`. For queries, keys and values Keras keeps one `A` for each
    /// head: its `[hidden_dim, num_heads, rank]` in one row.
    pub lora_kernel_a: Param<Tensor<2>>,
    /// `[rank, output_dim / groups]`.
    pub lora_kernel_b: Param<Tensor<2>>,
}

impl Lora {
    /// `A` is drawn as by Keras' `he_uniform`, `B` is zero, so that the layer computes what it did.
    pub(crate) fn new(kernel: &Tensor<2>, groups: usize, rank: usize, seed: u64) -> Self {
        let [input_dim, output_dim] = kernel.dims();
        let device = kernel.device();
        // Keras takes every axis but the last for input: that is also the heads' one.
        let limit = (6.0 / (input_dim * groups) as f64).sqrt();
        let a = uniform(seed, limit, input_dim * groups * rank);
        let b = vec![0f32; rank * output_dim / groups];
        let parameter = |values, shape: [usize; 2]| {
            let data = TensorData::new(values, shape);
            Param::from_tensor(Tensor::from_data(data, (&device, kernel.dtype())))
        };
        Self {
            lora_kernel_a: parameter(a, [input_dim, groups * rank]),
            lora_kernel_b: parameter(b, [rank, output_dim / groups]),
        }
    }

    /// The rank.
    pub fn rank(&self) -> usize {
        self.lora_kernel_b.dims()[0]
    }

    /// `(x A) B`.
    ///
    /// # Shapes
    ///
    /// `[rows, input_dim] -> [rows, output_dim]`
    pub(crate) fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        let [rows, _] = input.dims();
        let narrow = weight::product(input, &self.lora_kernel_a);
        self.widen(narrow).reshape([rows as i64, -1])
    }

    /// `A B`: what is added to the kernel when the two are merged.
    pub(crate) fn delta(&self) -> Tensor<2> {
        let a = self.lora_kernel_a.val();
        let [input_dim, _] = a.dims();
        self.widen(a).reshape([input_dim as i64, -1])
    }

    /// Every group of `rank` numbers times `B`.
    fn widen(&self, narrow: Tensor<2>) -> Tensor<2> {
        let rank = self.rank();
        weight::product(narrow.reshape([-1, rank as i64]), &self.lora_kernel_b)
    }
}
