//! Stage 5: which tensor of a checkpoint holds which parameter of the model.

use gpt2_backbone::Gpt2BackboneConfig;

use crate::tensors::part::Part;

/// One line of a weight map.
pub(crate) struct Row {
    /// The parameter's path in its module: the model, or one of its transformer layers.
    pub(crate) parameter: &'static str,
    /// The tensor's name there.
    pub(crate) tensor: &'static str,
    /// The tensor's shape.
    pub(crate) shape: &'static [Axis],
    /// What of the tensor the parameter is.
    pub(crate) part: Part,
}

/// An axis of a tensor, whose length a config gives.
#[derive(Clone, Copy)]
pub(crate) enum Axis {
    /// `vocabulary_size`
    Vocabulary,
    /// `max_sequence_length`
    Positions,
    /// `hidden_dim`
    Hidden,
    /// Three times `hidden_dim`: queries, keys and values side by side.
    ThreeHidden,
    /// `intermediate_dim`
    Inner,
    /// `num_heads`
    Heads,
    /// `hidden_dim / num_heads`
    HeadDim,
}

/// A row for a whole tensor.
pub(crate) const fn row(
    parameter: &'static str,
    tensor: &'static str,
    shape: &'static [Axis],
) -> Row {
    Row { parameter, tensor, shape, part: Part::WHOLE }
}

/// A row for a part of a tensor.
pub(crate) const fn part(
    parameter: &'static str,
    tensor: &'static str,
    shape: &'static [Axis],
    part: Part,
) -> Row {
    Row { parameter, tensor, shape, part }
}

/// The names that one format gives to the tensors of a GPT-2.
pub(crate) struct WeightMap {
    /// The model's own parameters.
    pub(crate) model: &'static [Row],
    /// The output layer's, where it is not the token embedding.
    pub(crate) head: Row,
    /// The tensor that the output layer's may repeat where it is the token embedding.
    pub(crate) head_repeats: Option<&'static str>,
    /// The parameters of every transformer layer.
    pub(crate) layer: &'static [Row],
    /// How the tensors' names of one layer begin.
    pub(crate) layer_prefix: fn(layer: usize) -> String,
    /// The name in this map of a tensor in a file: older spellings and prefixes undone.
    pub(crate) canonical: fn(name: &str) -> String,
    /// The name in a file that this crate writes of a tensor with this canonical name.
    pub(crate) file_name: fn(tensor: &str) -> String,
    /// Whether a tensor with this canonical name is no parameter, and known.
    pub(crate) is_buffer: fn(name: &str) -> bool,
}

/// A parameter of the model and the tensor that holds it.
#[derive(Debug)]
pub(crate) struct Placement {
    /// The parameter's path in the model.
    pub(crate) parameter: String,
    /// The tensor's canonical name.
    pub(crate) tensor: String,
    /// The tensor's shape.
    pub(crate) shape: Vec<usize>,
    /// What of the tensor the parameter is.
    pub(crate) part: Part,
}

impl WeightMap {
    /// Every parameter of a model with this config, one by one: a config may claim any number.
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::convert::Infallible;

    use burn::tensor::{Device, TensorData};
    use gpt2_backbone::{
        BackboneError, Gpt2Backbone, ParameterSource, ParameterSpec, RandomParameters,
    };

    use super::*;
    use crate::formats::gguf::weight_map::GGUF;
    use crate::formats::keras::weight_map::KERAS;
    use crate::formats::transformers::weight_map::TRANSFORMERS;

    /// Notes what the model asks for.
    struct Recorder {
        source: RandomParameters,
        asked: BTreeMap<String, usize>,
    }

    #[derive(Debug, thiserror::Error)]
    #[error(transparent)]
    struct Impossible(#[from] BackboneError);

    impl ParameterSource for Recorder {
        type Error = Impossible;

        fn parameter(&mut self, spec: &ParameterSpec<'_>) -> Result<TensorData, Impossible> {
            self.asked.insert(spec.path.to_owned(), spec.shape.iter().product());
            let data = self.source.parameter(spec);
            Ok(data.unwrap_or_else(|impossible: Infallible| match impossible {}))
        }
    }

    #[test]
    fn each_parameter_has_one_place_of_its_size() {
        for tie_weights in [true, false] {
            let config = Gpt2BackboneConfig {
                tie_weights,
                ..Gpt2BackboneConfig::new(7, 3, 2, 4, 9).with_max_sequence_length(5)
            };
            let mut recorder =
                Recorder { source: RandomParameters::new(0), asked: BTreeMap::new() };
            Gpt2Backbone::from_source(&config, &mut recorder, &Device::flex()).unwrap();
            for map in [&KERAS, &TRANSFORMERS, &GGUF] {
                let placed: Vec<_> = map.placements(&config).collect();
                assert_eq!(placed.len(), recorder.asked.len());
                for Placement { parameter, shape, part, .. } in placed {
                    let expected = part.block(&shape).elements();
                    assert_eq!(recorder.asked.get(&parameter), Some(&expected), "{parameter}");
                }
            }
        }
    }
}
