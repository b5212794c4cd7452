//! Products on a GPU: a kernel for few rows, burn's matrix product for more.

mod epilogue;
pub(crate) mod product;

use burn::backend::TensorMetadata;
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn_cubecl::CubeBackend;
use burn_cubecl::tensor::CubeTensor;

use self::epilogue::{EpilogueKind, add_epilogue};
use super::epilogue::Epilogue;
use super::triple::Triple;
use super::{LinearOps, composed};
use crate::gpu::tensors::{has_kernel, max_buffers};

impl LinearOps for CubeBackend {
    fn fused_linear(
        x: FloatTensor<Self>,
        kernel: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epilogue: Epilogue<Self>,
    ) -> FloatTensor<Self> {
        let has_residual_kernel =
            epilogue.residual().is_none_or(|residual| has_kernel(&[&x, residual]));
        if !has_residual_kernel || !has_kernel(&[&x, &kernel, &bias]) {
            return composed::linear::<Self>(x, kernel, bias, epilogue);
        }
        let (epilogue, residual) = match epilogue {
            Epilogue::None => (EpilogueKind::None, None),
            Epilogue::Gelu => (EpilogueKind::Gelu, None),
            Epilogue::Add(residual) => (EpilogueKind::Add, Some(residual)),
        };
        // The kernel for few rows reads a contiguous matrix.
        if x.shape()[0] <= product::MAX_ROWS && kernel.is_contiguous() {
            return product::product(x, kernel, bias, epilogue, residual);
        }
        add_epilogue(Self::float_matmul(x, kernel), bias, epilogue, residual)
    }

    fn fused_projections(
        x: FloatTensor<Self>,
        kernels: Triple<Self>,
        biases: Triple<Self>,
    ) -> Triple<Self> {
        let (kernels, biases) = (kernels.into_array(), biases.into_array());
        let all: Vec<&CubeTensor> = kernels.iter().chain(&biases).chain([&x]).collect();
        let is_one_size = kernels.iter().all(|kernel| kernel.shape() == kernels[0].shape());
        if x.shape()[0] > product::MAX_ROWS
            || max_buffers(&x) < product::PROJECTION_BUFFERS
            || !is_one_size
            || !kernels.iter().all(CubeTensor::is_contiguous)
            || !has_kernel(&all)
        {
            return composed::projections::<Self>(x, kernels.into(), biases.into());
        }
        product::projections(x, kernels, biases).into()
    }
}
