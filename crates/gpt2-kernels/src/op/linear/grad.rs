//! The gradients of products.

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::ops::{FloatTensorOps, ModuleOps};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend};

use super::LinearOps;
use super::epilogue::Epilogue;
use crate::op::gelu::GeluOps;

impl<B: Backend + LinearOps, C: CheckpointStrategy> LinearOps for Autodiff<B, C> {
    fn fused_linear(
        x: FloatTensor<Self>,
        kernel: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epilogue: Epilogue<Self>,
    ) -> FloatTensor<Self> {
        // burn's linear layer keeps nothing that its gradients do not need.
        let product = Self::linear(x, kernel, Some(bias));
        match epilogue {
            Epilogue::None => product,
            Epilogue::Gelu => Self::fused_gelu(product),
            Epilogue::Add(residual) => Self::float_add(residual, product),
        }
    }
}
