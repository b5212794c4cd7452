//! The gradient of dropout.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend};

use super::DropoutOps;
use super::key::DropoutKey;

impl<B: Backend + DropoutOps, C: CheckpointStrategy> DropoutOps for Autodiff<B, C> {
    fn fused_dropout(x: FloatTensor<Self>, key: DropoutKey) -> FloatTensor<Self> {
        let (x, node) = x.into_parts();
        match Backward::<B, 1>::prepare::<C>(Dropout, [node]).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish(key, B::fused_dropout(x, key)),
            OpsKind::UnTracked(step) => step.finish(B::fused_dropout(x, key)),
        }
    }
}

#[derive(Debug)]
struct Dropout;

impl<B: Backend + DropoutOps> Backward<B, 1> for Dropout {
    type State = DropoutKey;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        if let [Some(x)] = ops.parents {
            // Dropped numbers have no gradient; the others' gradient has the same factor.
            grads.register::<B>(x.id, B::fused_dropout(gradient, ops.state));
        }
    }
}
