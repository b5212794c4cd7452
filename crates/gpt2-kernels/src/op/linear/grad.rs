//! The gradients of products.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::ops::FloatTensorOps;
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
        let product = linear::<B, C>(x, kernel, bias);
        match epilogue {
            Epilogue::None => product,
            Epilogue::Gelu => Self::fused_gelu(product),
            Epilogue::Add(residual) => Self::float_add(residual, product),
        }
    }
}

fn linear<B: Backend + LinearOps, C: CheckpointStrategy>(
    x: FloatTensor<Autodiff<B, C>>,
    kernel: FloatTensor<Autodiff<B, C>>,
    bias: FloatTensor<Autodiff<B, C>>,
) -> FloatTensor<Autodiff<B, C>> {
    let (is_x_tracked, is_kernel_tracked) = (x.is_tracked(), kernel.is_tracked());
    let ((x, x_node), (kernel, kernel_node)) = (x.into_parts(), kernel.into_parts());
    let (bias, bias_node) = bias.into_parts();
    let nodes = [x_node, kernel_node, bias_node];
    match Backward::<B, 3>::prepare::<C>(Linear, nodes).compute_bound().stateful() {
        OpsKind::Tracked(step) => {
            // Each is kept for the gradient of the other.
            let state = Operands {
                x: is_kernel_tracked.then(|| x.clone()),
                kernel: is_x_tracked.then(|| kernel.clone()),
            };
            step.finish(state, B::linear(x, kernel, Some(bias)))
        }
        OpsKind::UnTracked(step) => step.finish(B::linear(x, kernel, Some(bias))),
    }
}

/// The operands of a product that its gradients need.
#[derive(Debug, Clone)]
struct Operands<T> {
    x: Option<T>,
    kernel: Option<T>,
}

#[derive(Debug)]
struct Linear;

impl<B: Backend + LinearOps> Backward<B, 3> for Linear {
    type State = Operands<FloatTensor<B>>;

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        let [x, kernel, bias] = ops.parents;
        if let (Some(x), Some(kernel)) = (x, ops.state.kernel) {
            grads.register::<B>(x.id, B::linear_x_backward(kernel, gradient.clone()));
        }
        if let (Some(kernel), Some(x)) = (kernel, ops.state.x) {
            grads.register::<B>(kernel.id, B::linear_weight_backward(x, gradient.clone()));
        }
        if let Some(bias) = bias {
            grads.register::<B>(bias.id, B::column_sums(gradient));
        }
    }
}
