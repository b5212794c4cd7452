//! KerasHub's `save_lora_weights` and `load_lora_weights`, as a trait of the models.

use std::collections::BTreeSet;
use std::path::Path;

use burn::tensor::{Tensor, TensorData};
use gpt2_backbone::{Dense, Gpt2Backbone, LoraConfig, keras_shape, try_update_parameters};
use gpt2_files::{Staging, write_error};
use gpt2_task::Gpt2CausalLm;

use crate::api::has_contents::HasContents;
use crate::error::PresetError;
use crate::tensors::hdf5::writer as hdf5_writer;
use crate::tensors::named_tensor::NamedTensor;
use crate::tensors::safetensors::named_writer as named_tensors_writer;
use crate::training::lora_file::{FORMAT_NAME, LoraFile};
use crate::training::lora_format::{KERAS_RANK, LoraFormat};

/// Saves and loads a LoRA separately from its model. Sealed.
///
/// The end of the file name selects one of two formats:
///
/// - `.lora.h5` is KerasHub's. It has each layer's two factors, but not the layer's bias, which is
///   trained too. Unless the biases stayed the same, the loaded model differs from the saved one,
///   here and in KerasHub.
/// - `.safetensors` is this library's. It has the biases too, so that the loaded model equals the
///   saved one. Tensors have the paths of the parameters, such as
///   `transformer_layers.0.self_attention_layer.query_dense.lora_kernel_a`, and Keras' shapes.
///
/// ```
/// # #[cfg(feature = "bundled")] {
/// use gpt2_presets::{FromPreset, LoraWeights};
/// use gpt2_task::Gpt2CausalLm;
///
/// let load = || Gpt2CausalLm::from_preset("gpt2_tiny_shakespeare");
/// let mut model = load()?;
/// model.enable_lora(4)?;
/// // … and `fit` …
/// let folder = tempfile::tempdir()?;
/// model.save_lora_weights(folder.path().join("mine.safetensors"))?;
///
/// let mut again = load()?;
/// again.load_lora_weights(folder.path().join("mine.safetensors"))?;
/// assert_eq!(again.backbone().lora_rank(), Some(4));
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait LoraWeights: HasContents {
    /// Writes the LoRA to a file, under a temporary name first.
    ///
    /// # Errors
    ///
    /// [`PresetError::LoraNotEnabled`], [`PresetError::LoraFileName`] or
    /// [`FileError::Write`](gpt2_files::FileError::Write). A previous file is then unchanged.
    fn save_lora_weights(&self, path: impl AsRef<Path>) -> Result<(), PresetError>;

    /// Loads the LoRA from a file.
    ///
    /// A model without a LoRA gets one of the file's rank, in the file's layers, and all other
    /// parameters are frozen. (KerasHub always uses queries and values, and silently ignores the
    /// file's other layers.) A model with a LoRA must have the same rank and the same layers.
    ///
    /// # Errors
    ///
    /// [`PresetError::LoraFileName`], [`PresetError::LoraRankMismatch`],
    /// [`PresetError::LoraLayerMismatch`], [`PresetError::Malformed`] for another model's file, and
    /// the errors of reading a file. The model is then unchanged.
    fn load_lora_weights(&mut self, path: impl AsRef<Path>) -> Result<(), PresetError>;
}

impl LoraWeights for Gpt2Backbone {
    fn save_lora_weights(&self, path: impl AsRef<Path>) -> Result<(), PresetError> {
        save(self, path.as_ref())
    }

    fn load_lora_weights(&mut self, path: impl AsRef<Path>) -> Result<(), PresetError> {
        *self = loaded(self, path.as_ref())?;
        Ok(())
    }
}

impl LoraWeights for Gpt2CausalLm {
    fn save_lora_weights(&self, path: impl AsRef<Path>) -> Result<(), PresetError> {
        save(self.backbone(), path.as_ref())
    }

    fn load_lora_weights(&mut self, path: impl AsRef<Path>) -> Result<(), PresetError> {
        let loaded = loaded(self.backbone(), path.as_ref())?;
        Ok(self.set_backbone(loaded)?)
    }
}

fn save(backbone: &Gpt2Backbone, path: &Path) -> Result<(), PresetError> {
    let rank = backbone.lora_rank().ok_or(PresetError::LoraNotEnabled)?;
    let format = LoraFormat::of(path)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut files = Staging::new(path.parent().unwrap_or(Path::new("")))?;
    let tensors = tensors(backbone, format);
    files.fallible_file(&name, |temporary, file| {
        let written = match format {
            LoraFormat::Keras => {
                let rank = (KERAS_RANK, rank as i64);
                hdf5_writer::write_named(temporary, rank, &tensors)
            }
            LoraFormat::Safetensors => {
                let metadata = [("format", FORMAT_NAME.to_owned()), ("rank", rank.to_string())];
                named_tensors_writer::write(file, &metadata, None, &tensors)
            }
        };
        written.map_err(write_error(path))
    })?;
    Ok(files.commit()?)
}

/// All tensors that this format stores, layer by layer.
fn tensors(backbone: &Gpt2Backbone, format: LoraFormat) -> Vec<NamedTensor> {
    let mut tensors = Vec::new();
    let mut add = |parameter: String, shape: &[usize], values: Tensor<1>| {
        // None for parameters that the format does not store.
        if let Some(name) = format.tensor(&parameter) {
            let shape = keras_shape(backbone.config(), &parameter, shape);
            tensors.push(NamedTensor { name, shape, values });
        }
    };
    for (path, dense) in backbone.dense_layers() {
        let Dense { bias, lora: Some(lora), .. } = dense else { continue };
        for (name, factor) in
            [("lora_kernel_a", &lora.lora_kernel_a), ("lora_kernel_b", &lora.lora_kernel_b)]
        {
            let values = factor.val();
            add(format!("{path}.lora.{name}"), &values.dims(), values.reshape([-1]));
        }
        add(format!("{path}.bias"), &bias.dims(), bias.val());
    }
    tensors
}

/// Model with the LoRA of a file. It shares all other parameters with the given one.
fn loaded(backbone: &Gpt2Backbone, path: &Path) -> Result<Gpt2Backbone, PresetError> {
    let mut file = LoraFile::open(path, backbone)?;
    let mut adapted = backbone.clone();
    match backbone.lora_rank() {
        None => {
            let layer_names = file.layers.iter().filter_map(|layer| layer.rsplit('.').next());
            let targets: BTreeSet<&str> = layer_names.collect();
            let config = LoraConfig::new(file.rank).with_target_layer_names(targets);
            // The seed does not matter: the factors are replaced.
            adapted.enable_lora(config.with_seed(0))?;
        }
        Some(found) if found != file.rank => {
            let (path, expected) = (path.into(), file.rank);
            return Err(PresetError::LoraRankMismatch { path, expected, found });
        }
        Some(_) => {}
    }
    check_layers(&adapted, &file.layers, path)?;
    let device = adapted.device();
    try_update_parameters(adapted, |parameter, shape, old| {
        let Some(values) = file.parameter(backbone, parameter, shape)? else { return Ok(old) };
        let count = values.len();
        Ok(Tensor::from_data(TensorData::new(values, [count]), (&device, old.dtype())))
    })
}

/// Returns an error unless the model has its LoRA in the file's layers.
fn check_layers(
    backbone: &Gpt2Backbone,
    in_file: &BTreeSet<String>,
    path: &Path,
) -> Result<(), PresetError> {
    let adapted = backbone.dense_layers().filter(|(_, dense)| dense.lora.is_some());
    let in_model: BTreeSet<String> = adapted.map(|(path, _)| path).collect();
    if in_model == *in_file {
        return Ok(());
    }
    let only = |these: &BTreeSet<String>, those| these.difference(those).cloned().collect();
    let path = path.into();
    let (in_file, in_model) = (only(in_file, &in_model), only(&in_model, in_file));
    Err(PresetError::LoraLayerMismatch { path, in_file, in_model })
}
