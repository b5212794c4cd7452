//! The forward pass in training, and the way back: gradients of every trainable parameter.

use std::ops::Range;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Bool, DType, Int, Tensor};
use gpt2_kernels::check_float_type;

use crate::backbone::Gpt2Backbone;
use crate::dense::Dense;
use crate::dropout::DropoutSeed;
use crate::error::BackboneError;
use crate::forward_pass::ForwardPass;
use crate::parameter::{ParameterGradients, ParameterVisitor, has_trainable, is_trainable, visit};

/// How a forward pass in training is computed.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct TrainingOptions {
    /// Drops activations at the config's rate.
    pub dropout: Option<DropoutSeed>,
    /// Whether only the inputs of the layers are kept, and each layer is computed again on the
    /// way back: a layer's memory in place of all layers', for a third more time
    /// ([Chen et al., 2016](https://arxiv.org/abs/1604.06174)).
    pub gradient_checkpointing: bool,
    /// The float type of products and activations, where it is not that of the parameters.
    pub compute_dtype: Option<DType>,
}

/// A forward pass in training, which waits for the gradient of its result.
pub struct BackwardPass {
    backbone: Gpt2Backbone,
    token_ids: Tensor<2, Int>,
    pass: ForwardPass,
    tape: Tape,
}

/// What was kept of the forward pass.
enum Tape {
    /// All of it.
    Recorded(Box<Segment>),
    /// The input of each segment.
    Inputs(Vec<(Range<usize>, Tensor<3>)>),
}

/// Some layers of the model, computed with everything that their gradients need.
struct Segment {
    /// Parameters that keep their gradients.
    leaves: Gpt2Backbone,
    input: Tensor<3>,
    output: Tensor<3>,
}

impl Gpt2Backbone {
    /// Hidden states, as [`forward_with`](Self::forward_with) gives them, and the way back.
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
    /// As [`forward_with`](Self::forward_with), and [`BackboneError::UnsupportedFloatType`].
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
        let mut pass = backbone.begin(None, padding_mask, options.dropout);
        pass.compute_dtype = options.compute_dtype.filter(|dtype| *dtype != DType::F32);
        let layers = self.transformer_layers.len();
        let embedded = backbone.embed(token_ids.clone(), &pass);
        let (output, tape) = if options.gradient_checkpointing {
            let compute = cast_kernels(backbone.clone(), &pass);
            let mut segments = Vec::with_capacity(layers);
            let mut x = embedded;
            for layer in 0..layers {
                let range = layer..layer + 1;
                let output = compute.run_layers(range.clone(), x.clone(), &pass);
                segments.push((range, std::mem::replace(&mut x, output)));
            }
            (x, Tape::Inputs(segments))
        } else {
            let segment = backbone.record(0..layers, embedded, &pass);
            (segment.output.clone().inner(), Tape::Recorded(Box::new(segment)))
        };
        Ok((output.cast(DType::F32), BackwardPass { backbone, token_ids, pass, tape }))
    }

    /// Computes some layers on an autodiff device.
    fn record(&self, layers: Range<usize>, input: Tensor<3>, pass: &ForwardPass) -> Segment {
        let leaves = self.clone().train();
        let compute = cast_kernels(leaves.clone(), pass);
        let mut input = input.autodiff();
        if self.is_trained_before(layers.start) {
            input = input.require_grad();
        }
        let output = compute.run_layers(layers, input.clone(), pass);
        Segment { leaves, input, output }
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
            Tape::Inputs(segments) => {
                segments.into_iter().rev().try_fold(hidden_gradient, |gradient, (layers, input)| {
                    backbone.record(layers, input, &pass).backward(gradient, &mut gradients)
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

/// The model with kernels and biases in the float type of the pass; gradients flow through the
/// cast. Embeddings and normalisations stay: their results are cast.
fn cast_kernels(backbone: Gpt2Backbone, pass: &ForwardPass) -> Gpt2Backbone {
    struct Cast(DType);
    impl ModuleMapper for Cast {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|tensor| tensor.cast(self.0))
        }
    }
    let Some(dtype) = pass.compute_dtype else { return backbone };
    let mut backbone = backbone;
    for layer in &mut backbone.transformer_layers {
        for dense in layer.dense_layers_mut() {
            let taken: Dense = dense.clone();
            *dense = taken.map(&mut Cast(dtype));
        }
    }
    backbone
}
