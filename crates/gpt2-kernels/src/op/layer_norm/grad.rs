//! The gradients of layer normalisation.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend};

use super::LayerNormOps;

impl<B: Backend + LayerNormOps, C: CheckpointStrategy> LayerNormOps for Autodiff<B, C> {
    fn fused_layer_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        let ((x, x_node), (gamma, gamma_node)) = (x.into_parts(), gamma.into_parts());
        let (beta, beta_node) = beta.into_parts();
        let nodes = [x_node, gamma_node, beta_node];
        match Backward::<B, 3>::prepare::<C>(LayerNorm, nodes).compute_bound().stateful() {
            OpsKind::Tracked(step) => {
                let state = (x.clone(), gamma.clone(), epsilon);
                step.finish(state, B::fused_layer_norm(x, gamma, beta, epsilon))
            }
            OpsKind::UnTracked(step) => step.finish(B::fused_layer_norm(x, gamma, beta, epsilon)),
        }
    }
}

#[derive(Debug)]
struct LayerNorm;

impl<B: Backend + LayerNormOps> Backward<B, 3> for LayerNorm {
    type State = (FloatTensor<B>, FloatTensor<B>, f64);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        let (x, gamma, epsilon) = ops.state;
        let (x, gamma, beta) = B::fused_layer_norm_backward(x, gamma, gradient, epsilon);
        for (parent, gradient) in ops.parents.into_iter().zip([x, gamma, beta]) {
            if let Some(parent) = parent {
                grads.register::<B>(parent.id, gradient);
            }
        }
    }
}
