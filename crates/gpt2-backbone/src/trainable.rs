//! Choice of the trained parameters: layers by name, and LoRA.

use std::collections::BTreeSet;

use burn::module::Param;
use burn::tensor::Tensor;

use crate::backbone::Gpt2Backbone;
use crate::config::Gpt2BackboneConfig;
use crate::dense::Dense;
use crate::error::BackboneError;
use crate::lora_config::LoraConfig;
use crate::parameter::{ParameterMapper, is_trainable, map, visit_tensors};

/// Keras' names of the dense layers, and the names of their fields here.
const DENSE_LAYERS: [(&str, &str); 6] = [
    ("query", "query_dense"),
    ("key", "key_dense"),
    ("value", "value_dense"),
    ("attention_output", "output_dense"),
    ("feedforward_intermediate_dense", "feedforward_intermediate_dense"),
    ("feedforward_output_dense", "feedforward_output_dense"),
];

impl Gpt2Backbone {
    /// Adds LoRA to dense layers of every transformer layer, and freezes all other parameters.
    /// `config` is a [`LoraConfig`], or its rank alone.
    ///
    /// ```
    /// use burn::tensor::Device;
    /// use gpt2_backbone::{Gpt2Backbone, Gpt2BackboneConfig, LoraConfig};
    ///
    /// let config = Gpt2BackboneConfig::new(10, 1, 2, 8, 16);
    /// let mut backbone = Gpt2Backbone::new(&config, 0, &Device::flex())?;
    /// backbone.enable_lora(LoraConfig::new(2).with_target_layer_names(["query", "key"]))?;
    /// assert_eq!(backbone.lora_rank(), Some(2));
    /// # Ok::<(), gpt2_backbone::BackboneError>(())
    /// ```
    ///
    /// As in KerasHub, the targeted layers' biases stay trainable (`enable_lora` in
    /// `keras_hub/src/models/backbone.py`), and `A` is random.
    ///
    /// # Errors
    ///
    /// [`BackboneError::UnknownLayer`] for an unknown name (KerasHub then silently freezes the
    /// whole model), [`BackboneError::InvalidLoraRank`] or [`BackboneError::LoraAlreadyEnabled`].
    /// The model is then unchanged.
    pub fn enable_lora(&mut self, config: impl Into<LoraConfig>) -> Result<(), BackboneError> {
        let LoraConfig { rank, target_layer_names, seed } = config.into();
        let targets = lora_targets(&target_layer_names)?;
        if self.lora_rank().is_some() {
            return Err(BackboneError::LoraAlreadyEnabled);
        }
        let limit = self.config().hidden_dim;
        if rank == 0 || rank > limit {
            return Err(BackboneError::InvalidLoraRank { found: rank, limit });
        }
        self.set_all_trainable(false);
        let mut seed = seed.unwrap_or_else(rand::random);
        for layer in &mut self.transformer_layers {
            for (name, dense) in dense_layer_names().zip(layer.dense_layers_mut()) {
                if targets.contains(name) {
                    dense.enable_lora(rank, seed);
                    dense.bias = dense.bias.clone().set_require_grad(true);
                    seed = seed.wrapping_add(1);
                }
            }
        }
        Ok(())
    }

    /// Rank of the LoRA, if one is enabled.
    pub fn lora_rank(&self) -> Option<usize> {
        let lora = self.dense_layers().find_map(|(_, dense)| dense.lora.as_ref());
        lora.map(|lora| lora.rank())
    }

    /// Adds the LoRA's products to the kernels, removes it, and makes all parameters trainable. The
    /// model's function stays the same.
    pub fn merge_lora(&mut self) {
        if self.lora_rank().is_none() {
            return;
        }
        for layer in &mut self.transformer_layers {
            layer.dense_layers_mut().into_iter().for_each(Dense::merge_lora);
        }
        self.set_all_trainable(true);
    }

    /// Freezes the parameters under these names, or makes them trainable.
    ///
    /// A name consists of whole components of a path, such as `token_embedding`,
    /// `transformer_layers.0`, `self_attention_layer.query_dense` or `bias`. It selects all
    /// parameters whose path contains it.
    ///
    /// # Errors
    ///
    /// [`BackboneError::UnknownLayer`]; the model is then unchanged.
    pub fn set_trainable(&mut self, names: &[&str], trainable: bool) -> Result<(), BackboneError> {
        let mut paths = Vec::new();
        visit_tensors(self, |path, _| paths.push(path.to_owned()));
        for name in names {
            if name.is_empty() || !paths.iter().any(|path| holds(path, name)) {
                let known: BTreeSet<&str> = paths.iter().flat_map(|path| path.split('.')).collect();
                let known = known.into_iter().filter(|name| name.parse::<usize>().is_err());
                let known = known.map(str::to_owned).collect();
                return Err(BackboneError::UnknownLayer { name: (*name).to_owned(), known });
            }
        }
        self.map_trainable(|path, before| {
            if names.iter().any(|name| holds(path, name)) { trainable } else { before }
        });
        Ok(())
    }

    /// Paths of the parameters that are trained.
    pub fn trainable_parameters(&self) -> Vec<String> {
        let mut paths = Vec::new();
        visit_tensors(self, |path, parameter| {
            if parameter.trainable {
                paths.push(path.to_owned());
            }
        });
        paths
    }

    /// All dense layers with their paths.
    pub fn dense_layers(&self) -> impl Iterator<Item = (String, &Dense)> {
        self.transformer_layers.iter().enumerate().flat_map(|(index, layer)| {
            let prefix = format!("transformer_layers.{index}");
            let attention = &layer.self_attention_layer;
            [
                (format!("{prefix}.self_attention_layer.query_dense"), &attention.query_dense),
                (format!("{prefix}.self_attention_layer.key_dense"), &attention.key_dense),
                (format!("{prefix}.self_attention_layer.value_dense"), &attention.value_dense),
                (format!("{prefix}.self_attention_layer.output_dense"), &attention.output_dense),
                (
                    format!("{prefix}.feedforward_intermediate_dense"),
                    &layer.feedforward_intermediate_dense,
                ),
                (format!("{prefix}.feedforward_output_dense"), &layer.feedforward_output_dense),
            ]
        })
    }

    fn set_all_trainable(&mut self, trainable: bool) {
        self.map_trainable(|_, _| trainable);
    }

    fn map_trainable(&mut self, choose: impl FnMut(&str, bool) -> bool) {
        struct Choose<F>(F);
        impl<F: FnMut(&str, bool) -> bool> ParameterMapper for Choose<F> {
            fn map<const D: usize>(
                &mut self,
                path: &str,
                parameter: Param<Tensor<D>>,
            ) -> Param<Tensor<D>> {
                let before = is_trainable(&parameter);
                parameter.set_require_grad((self.0)(path, before))
            }
        }
        *self = map(self.clone(), Choose(choose));
    }
}

/// Shape of a parameter in Keras, where the heads of queries, keys and values, and of the
/// attention's output, have their own axis. The order of the elements is the same.
pub fn keras_shape(config: &Gpt2BackboneConfig, path: &str, shape: &[usize]) -> Vec<usize> {
    let (heads, head_dim) = (config.num_heads, config.head_dim());
    let names: Vec<&str> = path.split('.').collect();
    let (hidden, rank) = (config.hidden_dim, shape.last().copied().unwrap_or_default());
    match names.as_slice() {
        [.., "query_dense" | "key_dense" | "value_dense", "kernel"] => {
            vec![hidden, heads, head_dim]
        }
        [.., "query_dense" | "key_dense" | "value_dense", "bias"] => vec![heads, head_dim],
        [.., "query_dense" | "key_dense" | "value_dense", "lora", "lora_kernel_a"] => {
            vec![hidden, heads, rank / heads]
        }
        [.., "output_dense", "kernel"] => vec![heads, head_dim, hidden],
        [.., "output_dense", "lora", "lora_kernel_a"] => vec![heads, head_dim, rank],
        _ => shape.to_vec(),
    }
}

fn dense_layer_names() -> impl Iterator<Item = &'static str> {
    DENSE_LAYERS.iter().map(|(_, field)| *field)
}

/// Fields that Keras' names, or their own, refer to.
fn lora_targets(names: &[String]) -> Result<BTreeSet<&'static str>, BackboneError> {
    let known = || DENSE_LAYERS.iter().map(|(keras, _)| (*keras).to_owned()).collect();
    let find = |name: &String| {
        let layer = DENSE_LAYERS.iter().find(|(keras, field)| name == keras || name == field);
        layer
            .map(|(_, field)| *field)
            .ok_or_else(|| BackboneError::UnknownLayer { name: name.clone(), known: known() })
    };
    let targets: BTreeSet<_> = names.iter().map(find).collect::<Result<_, _>>()?;
    if targets.is_empty() {
        return Err(BackboneError::UnknownLayer { name: String::new(), known: known() });
    }
    Ok(targets)
}

/// Whether a path contains a name, as whole components.
fn holds(path: &str, name: &str) -> bool {
    format!(".{path}.").contains(&format!(".{name}."))
}

#[cfg(test)]
#[cfg(feature = "flex")]
mod tests {
    use burn::tensor::{Device, Int};

    use super::*;

    fn backbone() -> Gpt2Backbone {
        let config = Gpt2BackboneConfig::new(10, 2, 2, 8, 12).with_max_sequence_length(5);
        Gpt2Backbone::new(&config, 1, &Device::flex()).unwrap()
    }

    fn output(backbone: &Gpt2Backbone) -> Vec<f32> {
        let ids = Tensor::<2, Int>::from_data([[1, 2, 3, 4]], &Device::flex());
        backbone.forward(ids, None).unwrap().try_into_vec_as().unwrap()
    }

    #[test]
    fn names_hold_whole_parts_of_a_path() {
        let path = "transformer_layers.1.self_attention_layer_norm.gamma";
        for name in ["gamma", "transformer_layers.1", "1", "self_attention_layer_norm", path] {
            assert!(holds(path, name), "{name}");
        }
        for name in ["layer_norm", "transformer_layers.0", "gam", "self_attention_layer"] {
            assert!(!holds(path, name), "{name}");
        }
    }

    #[test]
    fn lora_starts_as_nothing_and_freezes_all_else() {
        let mut backbone = backbone();
        let before = output(&backbone);
        backbone.enable_lora(LoraConfig::new(3).with_seed(7)).unwrap();
        assert_eq!(output(&backbone), before);
        assert_eq!(backbone.lora_rank(), Some(3));
        let trainable = backbone.trainable_parameters();
        let expected: Vec<String> = (0..2)
            .flat_map(|layer| {
                ["query_dense", "value_dense"].into_iter().flat_map(move |dense| {
                    ["bias", "lora.lora_kernel_a", "lora.lora_kernel_b"].map(|parameter| {
                        format!(
                            "transformer_layers.{layer}.self_attention_layer.{dense}.{parameter}"
                        )
                    })
                })
            })
            .collect();
        assert_eq!(trainable, expected);
        assert!(matches!(
            backbone.enable_lora(LoraConfig::new(3).with_seed(7)),
            Err(BackboneError::LoraAlreadyEnabled)
        ));
    }

    #[test]
    fn a_merged_lora_computes_the_same() {
        for targets in [
            &["query", "value"][..],
            &["key_dense"],
            &["attention_output"],
            &["feedforward_intermediate_dense", "feedforward_output_dense"],
        ] {
            let mut backbone = backbone();
            let before = output(&backbone);
            backbone
                .enable_lora(LoraConfig::new(2).with_target_layer_names(targets).with_seed(7))
                .unwrap();
            for layer in &mut backbone.transformer_layers {
                for dense in layer.dense_layers_mut() {
                    if let Some(lora) = &mut dense.lora {
                        // Not constant: a normalisation would remove a constant.
                        lora.lora_kernel_b = lora.lora_kernel_b.clone().map(|kernel| {
                            let count = kernel.shape().num_elements() as i64;
                            let ramp = Tensor::arange(0..count, &kernel.device()).float();
                            ramp.reshape(kernel.dims()) * 0.1
                        });
                    }
                }
            }
            let adapted = output(&backbone);
            let difference = |other: &[f32]| {
                let pairs = adapted.iter().zip(other);
                pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
            };
            assert!(difference(&before) > 1e-4, "{targets:?} changes the output");
            backbone.merge_lora();
            assert_eq!(backbone.lora_rank(), None);
            // The order of the sums differs.
            assert!(difference(&output(&backbone)) < 1e-5);
            let mut parameters = 0;
            visit_tensors(&backbone, |_, parameter| {
                assert!(parameter.trainable);
                parameters += 1;
            });
            assert_eq!(backbone.trainable_parameters().len(), parameters);
        }
    }

    #[test]
    fn layers_are_frozen_by_name() {
        let mut backbone = backbone();
        let all = backbone.trainable_parameters().len();
        backbone.set_trainable(&["token_embedding", "transformer_layers.0"], false).unwrap();
        assert_eq!(backbone.trainable_parameters().len(), all - 17);
        backbone.set_trainable(&["transformer_layers.0.self_attention_layer"], true).unwrap();
        assert_eq!(backbone.trainable_parameters().len(), all - 17 + 8);
    }

    #[test]
    fn mistakes_are_refused_and_change_nothing() {
        let mut backbone = backbone();
        let all = backbone.trainable_parameters();
        for name in ["querry", "layer", ""] {
            assert!(matches!(
                backbone
                    .enable_lora(LoraConfig::new(2).with_target_layer_names([name]).with_seed(0)),
                Err(BackboneError::UnknownLayer { .. })
            ));
            let error = backbone.set_trainable(&["bias", name], false).unwrap_err().to_string();
            assert!(error.contains("token_embedding") && error.contains(name), "{error}");
        }
        for rank in [0, 9] {
            let error = backbone.enable_lora(LoraConfig::new(rank).with_seed(0)).unwrap_err();
            assert!(matches!(error, BackboneError::InvalidLoraRank { .. }));
        }
        assert_eq!(backbone.trainable_parameters(), all);
    }
}
