//! LoRA: a low-rank product that is added to a frozen kernel.

use burn::module::{Module, Param};
use burn::tensor::{Tensor, TensorData};

use crate::parameter::uniform;
use crate::weight;

/// Narrow kernels `A` and `B`, with which a layer computes `x W + (x A) B` ([Hu et al.,
/// 2021](https://arxiv.org/abs/2106.09685); `keras/src/layers/core/einsum_dense.py`).
///
/// Training never computes the product `A B`, which is as large as a kernel. The scale `alpha /
/// rank` is 1, because Keras' default of `alpha` is the rank.
#[derive(Module, Debug)]
pub struct Lora {
    /// `A`, `[input_dim, groups * rank]`. For queries, keys and values Keras keeps one `A` a head:
    /// its `[hidden_dim, num_heads, rank]`, with the last axes joined.
    pub lora_kernel_a: Param<Tensor<2>>,
    /// `B`, `[rank, output_dim / groups]`.
    pub lora_kernel_b: Param<Tensor<2>>,
}

impl Lora {
    /// Draws `A` as Keras' `he_uniform` does. `B` is zero, so that the layer's function stays the
    /// same.
    pub(crate) fn new(kernel: &Tensor<2>, groups: usize, rank: usize, seed: u64) -> Self {
        let [input_dim, output_dim] = kernel.dims();
        let device = kernel.device();
        // Keras counts every axis but the last as input, including that of the heads.
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

    /// Rank of the LoRA.
    pub fn rank(&self) -> usize {
        self.lora_kernel_b.dims()[0]
    }

    /// Computes `(x A) B`.
    ///
    /// # Shapes
    ///
    /// `[rows, input_dim] -> [rows, output_dim]`
    pub(crate) fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        let [rows, _] = input.dims();
        let narrow = weight::product(input, &self.lora_kernel_a);
        self.widen(narrow).reshape([rows as i64, -1])
    }

    /// The product `A B`, which a merge adds to the kernel.
    pub(crate) fn delta(&self) -> Tensor<2> {
        let a = self.lora_kernel_a.val();
        let [input_dim, _] = a.dims();
        self.widen(a).reshape([input_dim as i64, -1])
    }

    /// Multiplies every group of `rank` columns by `B`.
    fn widen(&self, narrow: Tensor<2>) -> Tensor<2> {
        let rank = self.rank();
        weight::product(narrow.reshape([-1, rank as i64]), &self.lora_kernel_b)
    }
}
