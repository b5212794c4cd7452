//! The gradients of attention.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend};

use super::AttentionOps;
use super::inputs::{AttentionOptions, Padding, QkvTensors};

impl<B: Backend + AttentionOps, C: CheckpointStrategy> AttentionOps for Autodiff<B, C> {
    fn fused_attention(
        QkvTensors { query, key, value }: QkvTensors<Self>,
        padding: Padding<Self>,
        options: AttentionOptions,
    ) -> FloatTensor<Self> {
        let padding = match padding {
            Padding::None => Padding::None,
            Padding::Keep(keep) => Padding::<B>::Keep(keep),
        };
        let ((query, query_node), (key, key_node)) = (query.into_parts(), key.into_parts());
        let (value, value_node) = value.into_parts();
        let (qkv, nodes) = (QkvTensors { query, key, value }, [query_node, key_node, value_node]);
        match Backward::<B, 3>::prepare::<C>(Attention, nodes).compute_bound().stateful() {
            OpsKind::Tracked(step) => {
                let state = (qkv.clone(), padding.clone(), options);
                step.finish(state, B::fused_attention(qkv, padding, options))
            }
            OpsKind::UnTracked(step) => step.finish(B::fused_attention(qkv, padding, options)),
        }
    }
}

#[derive(Debug)]
struct Attention;

impl<B: Backend + AttentionOps> Backward<B, 3> for Attention {
    type State = (QkvTensors<B>, Padding<B>, AttentionOptions);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        let (qkv, padding, options) = ops.state;
        let QkvTensors { query, key, value } =
            B::fused_attention_backward(qkv, gradient, padding, options);
        for (parent, gradient) in ops.parents.into_iter().zip([query, key, value]) {
            if let Some(parent) = parent {
                grads.register::<B>(parent.id, gradient);
            }
        }
    }
}
