//! Gradients of the operations, once for all backends.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::ops::ModuleOps;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend};

use crate::attention::{AttentionOptions, DropoutKey, Padding};
use crate::kernels::Kernels;

impl<B: Backend + Kernels, C: CheckpointStrategy> Kernels for Autodiff<B, C> {
    fn fused_linear(
        x: FloatTensor<Self>,
        kernel: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        // burn's linear layer keeps nothing that its gradients do not need.
        Self::linear(x, kernel, Some(bias))
    }

    fn fused_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let (x, node) = x.into_parts();
        match Backward::<B, 1>::prepare::<C>(Gelu, [node]).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish(x.clone(), B::fused_gelu(x)),
            OpsKind::UnTracked(step) => step.finish(B::fused_gelu(x)),
        }
    }

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

    fn fused_dropout(x: FloatTensor<Self>, dropout: DropoutKey) -> FloatTensor<Self> {
        let (x, node) = x.into_parts();
        match Backward::<B, 1>::prepare::<C>(Dropout, [node]).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish(dropout, B::fused_dropout(x, dropout)),
            OpsKind::UnTracked(step) => step.finish(B::fused_dropout(x, dropout)),
        }
    }

    fn fused_attention(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        padding: Padding<Self>,
        options: AttentionOptions,
    ) -> FloatTensor<Self> {
        let padding = match padding {
            Padding::None => Padding::None,
            Padding::Keep(keep) => Padding::<B>::Keep(keep),
        };
        let ((query, query_node), (key, key_node)) = (query.into_parts(), key.into_parts());
        let (value, value_node) = value.into_parts();
        let nodes = [query_node, key_node, value_node];
        match Backward::<B, 3>::prepare::<C>(Attention, nodes).compute_bound().stateful() {
            OpsKind::Tracked(step) => {
                let state = (query.clone(), key.clone(), value.clone(), padding.clone(), options);
                step.finish(state, B::fused_attention(query, key, value, padding, options))
            }
            OpsKind::UnTracked(step) => {
                step.finish(B::fused_attention(query, key, value, padding, options))
            }
        }
    }
}

#[derive(Debug)]
struct Gelu;

impl<B: Backend + Kernels> Backward<B, 1> for Gelu {
    type State = FloatTensor<B>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        if let [Some(x)] = ops.parents {
            grads.register::<B>(x.id, B::fused_gelu_backward(ops.state, gradient));
        }
    }
}

#[derive(Debug)]
struct Dropout;

impl<B: Backend + Kernels> Backward<B, 1> for Dropout {
    type State = DropoutKey;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        if let [Some(x)] = ops.parents {
            // The numbers that were dropped have no gradient, and the factor is the same.
            grads.register::<B>(x.id, B::fused_dropout(gradient, ops.state));
        }
    }
}

#[derive(Debug)]
struct LayerNorm;

impl<B: Backend + Kernels> Backward<B, 3> for LayerNorm {
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

#[derive(Debug)]
struct Attention;

impl<B: Backend + Kernels> Backward<B, 3> for Attention {
    type State = (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>, Padding<B>, AttentionOptions);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        let (query, key, value, padding, options) = ops.state;
        let (query, key, value) =
            B::fused_attention_backward(query, key, value, gradient, padding, options);
        for (parent, gradient) in ops.parents.into_iter().zip([query, key, value]) {
            if let Some(parent) = parent {
                grads.register::<B>(parent.id, gradient);
            }
        }
    }
}
