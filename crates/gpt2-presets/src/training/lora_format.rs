//! Names in files of LoRA weights: Keras' format, and this library's.

use std::path::Path;

use crate::error::PresetError;

/// Factors of a layer, which both formats store.
const FACTORS: [&str; 2] = ["lora_kernel_a", "lora_kernel_b"];
/// The layer's bias, which is trained too. Only this library's format stores it.
const BIAS: &str = "bias";

/// Layers with weights before the first transformer layer, as Keras counts: two embeddings.
const LAYERS_BEFORE: usize = 2;
/// Layers with weights in a transformer layer, including itself.
const LAYERS_IN_DECODER: usize = 10;
/// Indices of the dense layers among those. Keras lists nested layers in the reverse order of their
/// creation.
const DENSE_LAYERS: [(usize, &str); 6] = [
    (2, "feedforward_output_dense"),
    (3, "feedforward_intermediate_dense"),
    (6, "self_attention_layer.output_dense"),
    (7, "self_attention_layer.value_dense"),
    (8, "self_attention_layer.key_dense"),
    (9, "self_attention_layer.query_dense"),
];

/// Dataset with the rank in Keras' format.
pub(crate) const KERAS_RANK: &str = "lora/vars/rank";

/// Format of a file of LoRA weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LoraFormat {
    /// KerasHub's `.lora.h5`, which numbers the layers.
    Keras,
    /// A `.safetensors` file with this library's names.
    Safetensors,
}

impl LoraFormat {
    /// Format of a file name.
    pub(crate) fn of(path: &Path) -> Result<Self, PresetError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.ends_with(".lora.h5") {
            Ok(Self::Keras)
        } else if name.ends_with(".safetensors") {
            Ok(Self::Safetensors)
        } else {
            Err(PresetError::LoraFileName { path: path.into() })
        }
    }

    /// Name of a model's parameter in the file. None if the format does not store it.
    pub(crate) fn tensor(self, parameter: &str) -> Option<String> {
        let (layer, name) = layer_and_name(parameter)?;
        match self {
            Self::Safetensors => Some(format!("{layer}.{name}")),
            Self::Keras if name == BIAS => None,
            Self::Keras => Some(format!("lora/{}/vars/{name}", keras_index(layer)?)),
        }
    }

    /// Layer of a tensor in the file. None if the tensor is not part of a LoRA.
    pub(crate) fn layer_of(self, tensor: &str) -> Option<String> {
        let (layer, name) = match self {
            Self::Safetensors => {
                let (layer, name) = tensor.rsplit_once('.')?;
                (layer.to_owned(), name)
            }
            Self::Keras => {
                let (index, name) = tensor.strip_prefix("lora/")?.split_once("/vars/")?;
                (keras_layer(index.parse().ok()?)?, name)
            }
        };
        let parameter = if name == BIAS { layer.clone() } else { format!("{layer}.lora") };
        // Checks the inverse too, so that no layer has two names, such as with the numbers 7 and
        // 07.
        let known = split_layer(&layer).is_some();
        (known && self.tensor(&format!("{parameter}.{name}"))? == tensor).then_some(layer)
    }
}

/// Dense layer of a parameter, and the parameter's name in the file.
fn layer_and_name(parameter: &str) -> Option<(&str, &str)> {
    let (layer, name) = parameter.rsplit_once('.')?;
    if name == BIAS {
        return Some((layer, name));
    }
    FACTORS.contains(&name).then_some((layer.strip_suffix(".lora")?, name))
}

/// Index of a transformer layer, and index of a dense layer in it.
fn split_layer(layer: &str) -> Option<(usize, usize)> {
    let (number, rest) = layer.strip_prefix("transformer_layers.")?.split_once('.')?;
    let (place, _) = DENSE_LAYERS.iter().find(|(_, dense)| *dense == rest)?;
    Some((number.parse().ok()?, *place))
}

/// Keras' index of a dense layer.
fn keras_index(layer: &str) -> Option<usize> {
    let (number, place) = split_layer(layer)?;
    number.checked_mul(LAYERS_IN_DECODER)?.checked_add(LAYERS_BEFORE + place)
}

/// Dense layer with Keras' index.
fn keras_layer(index: usize) -> Option<String> {
    let index = index.checked_sub(LAYERS_BEFORE)?;
    let (number, place) = (index / LAYERS_IN_DECODER, index % LAYERS_IN_DECODER);
    let (_, dense) = DENSE_LAYERS.iter().find(|(known, _)| *known == place)?;
    Some(format!("transformer_layers.{number}.{dense}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_have_the_numbers_that_keras_gives_them() {
        // From `lora_enabled_layers` of tests/golden/training/expected.json, and its table.
        for (index, layer) in [
            (4, "transformer_layers.0.feedforward_output_dense"),
            (9, "transformer_layers.0.self_attention_layer.value_dense"),
            (15, "transformer_layers.1.feedforward_intermediate_dense"),
            (21, "transformer_layers.1.self_attention_layer.query_dense"),
            (120, "transformer_layers.11.self_attention_layer.key_dense"),
        ] {
            assert_eq!(keras_index(layer), Some(index), "{layer}");
            let name = format!("lora/{index}/vars/lora_kernel_b");
            assert_eq!(LoraFormat::Keras.layer_of(&name).as_deref(), Some(layer));
        }
        for name in
            ["lora/011/vars/lora_kernel_a", "lora/+11/vars/lora_kernel_a", "lora/11/vars/bias"]
        {
            assert_eq!(LoraFormat::Keras.layer_of(name), None, "{name}");
        }
        // An embedding, a whole transformer layer, a normalisation, an attention.
        for index in [0, 1, 2, 6, 7, 13] {
            assert_eq!(
                LoraFormat::Keras.layer_of(&format!("lora/{index}/vars/lora_kernel_a")),
                None
            );
        }
    }

    #[test]
    fn a_parameter_has_a_name_in_each_format() {
        let dense = "transformer_layers.0.self_attention_layer.query_dense";
        let factor = format!("{dense}.lora.lora_kernel_a");
        let bias = format!("{dense}.bias");
        let [keras, ours] = [LoraFormat::Keras, LoraFormat::Safetensors];
        assert_eq!(keras.tensor(&factor).unwrap(), "lora/11/vars/lora_kernel_a");
        assert_eq!(ours.tensor(&factor).unwrap(), format!("{dense}.lora_kernel_a"));
        assert_eq!((keras.tensor(&bias), ours.tensor(&bias)), (None, Some(bias)));
        for format in [keras, ours] {
            assert_eq!(format.tensor(&format!("{dense}.kernel")), None);
            assert_eq!(format.tensor("layer_norm.gamma"), None);
        }
    }

    #[test]
    fn the_end_of_the_name_is_the_format() {
        let of = |name: &str| LoraFormat::of(Path::new(name));
        assert_eq!(of("a/my.lora.h5").unwrap(), LoraFormat::Keras);
        assert_eq!(of("my.safetensors").unwrap(), LoraFormat::Safetensors);
        for name in ["my.h5", "my.lora", "lora.h5.txt", "my.safetensors/model"] {
            let error = of(name).unwrap_err().to_string();
            assert!(error.starts_with("The filename must end in `.lora.h5`"), "{error}");
            assert!(error.ends_with(&format!("filepath={name}")), "{error}");
        }
    }
}
