//! Weight map of a format: the checkpoint's tensor for each parameter of the model.

use gpt2_backbone::Gpt2BackboneConfig;

use crate::tensors::tensor_part::TensorPart;

/// A row of a weight map.
pub(crate) struct Row {
    /// Path of the parameter in its module: the model, or a transformer layer.
    pub(crate) parameter: &'static str,
    /// Name of the tensor in that module.
    pub(crate) tensor: &'static str,
    /// Shape of the tensor.
    pub(crate) shape: &'static [Axis],
    /// Part of the tensor that is the parameter.
    pub(crate) part: TensorPart,
}

/// An axis of a tensor; the config gives its size.
#[derive(Clone, Copy)]
pub(crate) enum Axis {
    /// `vocabulary_size`
    Vocabulary,
    /// `max_sequence_length`
    Positions,
    /// `hidden_dim`
    Hidden,
    /// Three times `hidden_dim`: adjacent queries, keys and values.
    ThreeHidden,
    /// `intermediate_dim`
    Inner,
    /// `num_heads`
    Heads,
    /// `hidden_dim / num_heads`
    HeadDim,
}

/// Row for a whole tensor.
pub(crate) const fn row(
    parameter: &'static str,
    tensor: &'static str,
    shape: &'static [Axis],
) -> Row {
    Row { parameter, tensor, shape, part: TensorPart::WHOLE }
}

/// Row for a part of a tensor.
pub(crate) const fn part(
    parameter: &'static str,
    tensor: &'static str,
    shape: &'static [Axis],
    part: TensorPart,
) -> Row {
    Row { parameter, tensor, shape, part }
}

/// Names of a GPT-2's tensors in one format.
pub(crate) struct WeightMap {
    /// The model's own parameters.
    pub(crate) model: &'static [Row],
    /// The output layer, if it is not tied to the token embedding.
    pub(crate) head: Row,
    /// Tensor that a tied output layer may repeat: the token embedding.
    pub(crate) head_repeats: Option<&'static str>,
    /// The parameters of every transformer layer.
    pub(crate) layer: &'static [Row],
    /// Prefix of a layer's tensor names.
    pub(crate) layer_prefix: fn(layer: usize) -> String,
    /// Canonical name of a tensor in a file, without older spellings and prefixes.
    pub(crate) canonical: fn(name: &str) -> String,
    /// Name of a tensor in a file that this crate writes, from its canonical name.
    pub(crate) file_name: fn(tensor: &str) -> String,
    /// Whether a tensor with this canonical name is known, but not a parameter.
    pub(crate) is_buffer: fn(name: &str) -> bool,
}

/// A parameter of the model and the tensor that holds it.
#[derive(Debug)]
pub(crate) struct Placement {
    /// Path of the parameter in the model.
    pub(crate) parameter: String,
    /// Canonical name of the tensor.
    pub(crate) tensor: String,
    /// Shape of the tensor.
    pub(crate) shape: Vec<usize>,
    /// Part of the tensor that is the parameter.
    pub(crate) part: TensorPart,
}

impl WeightMap {
    /// Every parameter of a model with this config, lazily: a config may declare any number.
    pub(crate) fn placements(
        &self,
        config: &Gpt2BackboneConfig,
    ) -> impl Iterator<Item = Placement> {
        let head = (!config.tie_weights).then_some(&self.head);
        let model = self.model.iter().chain(head).map(|row| row.place("", "", config));
        let layers = (0..config.num_layers).flat_map(move |layer| {
            let parameters = format!("transformer_layers.{layer}.");
            let tensors = (self.layer_prefix)(layer);
            self.layer.iter().map(move |row| row.place(&parameters, &tensors, config))
        });
        model.chain(layers)
    }
}

impl Row {
    fn place(&self, parameters: &str, tensors: &str, config: &Gpt2BackboneConfig) -> Placement {
        Placement {
            parameter: format!("{parameters}{}", self.parameter),
            tensor: format!("{tensors}{}", self.tensor),
            shape: self.shape.iter().map(|axis| axis.size(config)).collect(),
            part: self.part,
        }
    }
}

impl Axis {
    fn size(self, config: &Gpt2BackboneConfig) -> usize {
        match self {
            Self::Vocabulary => config.vocabulary_size,
            Self::Positions => config.max_sequence_length,
            Self::Hidden => config.hidden_dim,
            Self::ThreeHidden => config.hidden_dim.saturating_mul(3),
            Self::Inner => config.intermediate_dim,
            Self::Heads => config.num_heads,
            Self::HeadDim => config.head_dim(),
        }
    }
}
