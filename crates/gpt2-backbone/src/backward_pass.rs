//! Training: the forward pass that is recorded, and gradients of every trainable parameter.

use std::ops::Range;

use burn::module::{Module, Param};
use burn::tensor::{Bool, DType, IndexingUpdateOp, Int, Tensor};
use gpt2_kernels::{check_float_type, column_sums};

use crate::backbone::Gpt2Backbone;
use crate::dropout::{DropoutSeed, Place};
use crate::error::BackboneError;
use crate::parameter::{ParameterGradients, ParameterVisitor, has_trainable, is_trainable, visit};
use crate::pass_state::PassState;

/// Options of a forward pass in training.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct TrainingOptions {
    /// Drops activations at the config's rate.
    pub dropout: Option<DropoutSeed>,
    /// Whether only the inputs of the layers are kept, and each layer is computed again in the
    /// backward pass: a layer's memory in place of all layers', for a third more time
    /// ([Chen et al., 2016](https://arxiv.org/abs/1604.06174)).
    pub gradient_checkpointing: bool,
    /// Float type of products and activations. Default: the model's.
    pub compute_dtype: Option<DType>,
}

/// A forward pass in training, which waits for the gradient of its result.
pub struct BackwardPass {
    backbone: Gpt2Backbone,
    token_ids: Tensor<2, Int>,
    pass: PassState,
    tape: Tape,
}

/// Part of the forward pass that was kept.
enum Tape {
    /// All of it.
    Recorded(Box<Segment>),
    /// The input of each layer.
    Inputs(Vec<Tensor<3>>),
}

/// Some layers of the model, computed with everything that their gradients need.
struct Segment {
    /// Parameters that keep their gradients.
    leaves: Gpt2Backbone,
    input: Tensor<3>,
    output: Tensor<3>,
}

impl Gpt2Backbone {
    /// Hidden states, as [`forward_with`](Self::forward_with) gives them, and the backward pass.
    ///
    /// The model may be on any device; gradients are computed by burn's automatic differentiation
    /// in there, and the model itself is unchanged.
    ///
    /// # Shapes
    ///
    /// As [`forward`](Self::forward). The hidden states are 32-bit floats.
    ///
    /// # Errors
    ///
    /// As [`forward_with`](Self::forward_with), and [`DeviceError::UnsupportedFloatType`](gpt2_kernels::DeviceError::UnsupportedFloatType).
    pub fn forward_for_training(
        &self,
        token_ids: Tensor<2, Int>,
        padding_mask: Option<Tensor<2, Bool>>,
        options: TrainingOptions,
    ) -> Result<(Tensor<3>, BackwardPass), BackboneError> {
        self.check_inputs(token_ids.dims(), padding_mask.as_ref(), None)?;
        if let Some(dtype) = options.compute_dtype {
            check_float_type(&self.device(), dtype)?;
        }
        let backbone = self.clone().valid();
        let pass = backbone.begin(None, padding_mask, options.dropout, options.compute_dtype);
        let layers = 0..self.transformer_layers.len();
        let embedded = backbone.embed(token_ids.clone(), &pass);
        let (output, tape) = if options.gradient_checkpointing {
            let mut inputs = vec![embedded.clone()];
            let mut keep = |x: Tensor<3>, _| {
                inputs.push(x.clone());
                x
            };
            let output = backbone.run_layers(layers, embedded, &pass, None, &mut keep);
            // The last layer's output is no layer's input.
            inputs.pop();
            (output, Tape::Inputs(inputs))
        } else {
            let segment = backbone.record(layers, embedded, &pass);
            (segment.output.clone().inner(), Tape::Recorded(Box::new(segment)))
        };
        Ok((output.cast(DType::F32), BackwardPass { backbone, token_ids, pass, tape }))
    }

    /// Computes some layers on an autodiff device.
    fn record(&self, layers: Range<usize>, input: Tensor<3>, pass: &PassState) -> Segment {
        let leaves = self.clone().train();
        let mut input = input.autodiff();
        if self.is_trained_before(layers.start) {
            input = input.require_grad();
        }
        let output = leaves.run_layers(layers, input.clone(), pass, None, &mut |x, _| x);
        Segment { leaves, input, output }
    }

    /// Adds the embeddings' gradients, given that of [`embed`](Self::embed)'s result.
    ///
    /// Written out, because automatic differentiation would make a table of zeros for the few rows
    /// that a batch uses, and add another table to it where the weights are tied.
    pub(crate) fn embed_backward(
        &self,
        token_ids: Tensor<2, Int>,
        gradient: Tensor<3>,
        pass: &PassState,
        gradients: &mut ParameterGradients,
    ) {
        // Dropout is its own gradient.
        let gradient = pass.drop(gradient, Place::Embeddings).cast(DType::F32);
        let start = pass.cached.start as i64;
        let [_, length, width] = gradient.dims();
        let mut add = |path: &str, table: &Param<Tensor<2>>, rows, ids| {
            if !is_trainable(table) {
                return;
            }
            let shape = table.dims();
            let sum = match gradients.remove(path) {
                Some(other) => other.reshape(shape),
                None => Tensor::zeros(shape, &table.device()),
            };
            let sum = sum.select_assign(0, ids, rows, IndexingUpdateOp::Add);
            gradients.insert(path.to_owned(), sum.reshape([-1]));
        };
        let positions = Tensor::arange(start..start + length as i64, &token_ids.device());
        let by_position = column_sums(gradient.clone().flatten(1, 2)).reshape([length, width]);
        let table = &self.position_embedding.position_embeddings;
        add("position_embedding.position_embeddings", table, by_position, positions);
        let table = &self.token_embedding.embeddings;
        let by_token = gradient.flatten(0, 1);
        add("token_embedding.embeddings", table, by_token, token_ids.flatten(0, 1));
    }

    /// Whether any parameter is trained that is used before this layer.
    fn is_trained_before(&self, layer: usize) -> bool {
        is_trainable(&self.token_embedding.embeddings)
            || is_trainable(&self.position_embedding.position_embeddings)
            || self.transformer_layers[..layer].iter().any(has_trainable)
    }
}

impl BackwardPass {
    /// Gradients of all trainable parameters that the hidden states depend on, given the hidden
    /// states' own.
    ///
    /// `gradients` are those that the loss has by other ways: where it uses the token embeddings
    /// for its logits too, their gradient is added to, in place if no other reference to it is
    /// held.
    ///
    /// # Shapes
    ///
    /// `hidden_gradient`: `[batch_size, sequence_length, hidden_dim]`.
    pub fn backward(
        self,
        hidden_gradient: Tensor<3>,
        mut gradients: ParameterGradients,
    ) -> ParameterGradients {
        let Self { backbone, token_ids, pass, tape } = self;
        let embedded = match tape {
            Tape::Recorded(segment) => segment.backward(hidden_gradient, &mut gradients),
            Tape::Inputs(inputs) => {
                let mut layers = inputs.into_iter().enumerate().rev();
                layers.try_fold(hidden_gradient, |gradient, (layer, input)| {
                    let segment = backbone.record(layer..layer + 1, input, &pass);
                    segment.backward(gradient, &mut gradients)
                })
            }
        };
        if let Some(gradient) = embedded {
            backbone.embed_backward(token_ids, gradient, &pass, &mut gradients);
        }
        gradients
    }
}

impl Segment {
    /// Collects the gradients of the parameters, and returns the input's, if it is needed.
    fn backward(
        self,
        output_gradient: Tensor<3>,
        collected: &mut ParameterGradients,
    ) -> Option<Tensor<3>> {
        if !self.output.is_tracked() {
            return None;
        }
        // The gradient of this sum by the output is what was given.
        let gradient = Tensor::from_inner(output_gradient.cast(self.output.dtype()));
        let mut gradients = (self.output * gradient).sum().backward();
        let input = self.input.grad_remove(&mut gradients);
        visit(&self.leaves, Collector { gradients: &mut gradients, collected });
        input
    }
}

/// Takes the gradients of a module's parameters out of burn's.
struct Collector<'a> {
    gradients: &'a mut burn::tensor::Gradients,
    collected: &'a mut ParameterGradients,
}

impl ParameterVisitor for Collector<'_> {
    fn visit<const D: usize>(&mut self, path: &str, parameter: &Param<Tensor<D>>) {
        if let Some(gradient) = parameter.val().grad_remove(self.gradients) {
            self.collected.insert(path.to_owned(), gradient.reshape([-1]));
        }
    }
}
