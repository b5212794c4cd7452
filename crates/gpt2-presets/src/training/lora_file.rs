//! A file of LoRA weights: its layers, and their checked tensors.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use gpt2_backbone::{Gpt2Backbone, keras_shape};

use crate::error::PresetError;
use crate::file_kind::FileKind;
use crate::source::local_folder::LocalFolder;
use crate::tensors::hdf5::file::Hdf5File;
use crate::tensors::safetensors::file::SafetensorsFile;
use crate::tensors::search::first_non_finite;
use crate::tensors::tensor_part::TensorPart;
use crate::tensors::weights_file::WeightsFile;
use crate::training::lora_format::{KERAS_RANK, LoraFormat};

/// Kind of file, for messages.
const LORA: FileKind = FileKind {
    name: "LoRA file for this model",
    remedy: "load a file that was saved from a model of this size",
};

/// Value of the metadata key `format` in files of this library.
pub(crate) const FORMAT_NAME: &str = "gpt2_lora";

/// An open file of LoRA weights for some model.
pub(crate) struct LoraFile {
    path: PathBuf,
    format: LoraFormat,
    file: Box<dyn WeightsFile>,
    names: BTreeSet<String>,
    /// Rank of the LoRA.
    pub(crate) rank: usize,
    /// Paths of the dense layers with weights in the file.
    pub(crate) layers: BTreeSet<String>,
}

impl LoraFile {
    /// Opens the file and checks that its layers are the model's. Reads no tensor.
    pub(crate) fn open(path: &Path, backbone: &Gpt2Backbone) -> Result<Self, PresetError> {
        let format = LoraFormat::of(path)?;
        let (folder, name) = LocalFolder::of_file(path);
        let (rank, file): (_, Box<dyn WeightsFile>) = match format {
            LoraFormat::Keras => {
                let file = Hdf5File::open(&folder, &name, false)?;
                (file.read_integer(KERAS_RANK)?.to_string(), Box::new(file))
            }
            LoraFormat::Safetensors => {
                let file = SafetensorsFile::open(&folder, &name, false)?;
                let found = file.metadata("format").unwrap_or("nothing");
                if found != FORMAT_NAME {
                    return Err(invalid(path, "format", format!("`{FORMAT_NAME}`"), found));
                }
                (file.metadata("rank").unwrap_or("nothing").to_owned(), Box::new(file))
            }
        };
        let limit = backbone.config().hidden_dim;
        let parsed = rank.parse().ok().filter(|rank| (1..=limit).contains(rank));
        let rank =
            parsed.ok_or_else(|| invalid(path, "rank", format!("from 1 to {limit}"), &rank))?;
        let names = file.names().into_iter().filter(|name| name != KERAS_RANK).collect();
        let layers = BTreeSet::new();
        let mut opened = Self { path: path.into(), format, file, names, rank, layers };
        opened.layers = opened.list_layers(backbone)?;
        Ok(opened)
    }

    /// Values of a parameter of a model with a LoRA of this rank in these layers. None if the
    /// file's format does not store the parameter.
    pub(crate) fn parameter(
        &mut self,
        backbone: &Gpt2Backbone,
        parameter: &str,
        shape: &[usize],
    ) -> Result<Option<Vec<f32>>, PresetError> {
        let Some(tensor) = self.format.tensor(parameter) else { return Ok(None) };
        if !self.format.layer_of(&tensor).is_some_and(|layer| self.layers.contains(&layer)) {
            return Ok(None);
        }
        let expected = keras_shape(backbone.config(), parameter, shape);
        let expected = format!("a tensor of shape {expected:?}");
        if !self.names.contains(&tensor) {
            return Err(invalid(&self.path, &tensor, expected, "nothing"));
        }
        let found = format!("a tensor of shape {:?}", self.file.inspect(&tensor)?);
        if found != expected {
            return Err(invalid(&self.path, &tensor, expected, &found));
        }
        let values = self.file.read(&tensor, TensorPart::WHOLE, false)?.as_slice().to_vec();
        if let Some(index) = first_non_finite(&values) {
            let found = format!("{} at element {index}", values[index]);
            return Err(invalid(&self.path, &tensor, "finite numbers".to_owned(), &found));
        }
        Ok(Some(values))
    }

    /// Layers to which the tensors belong. All must be the model's.
    fn list_layers(&self, backbone: &Gpt2Backbone) -> Result<BTreeSet<String>, PresetError> {
        let known: BTreeSet<String> = backbone.dense_layers().map(|(path, _)| path).collect();
        let mut layers = BTreeSet::new();
        for name in &self.names {
            match self.format.layer_of(name).filter(|layer| known.contains(layer)) {
                Some(layer) => layers.insert(layer),
                None => {
                    let decoders = backbone.config().num_layers;
                    let expected = format!("a factor of a dense layer of its {decoders} layers");
                    return Err(invalid(&self.path, name, expected, "something else"));
                }
            };
        }
        if layers.is_empty() {
            return Err(invalid(&self.path, "/", "at least one layer".to_owned(), "none"));
        }
        Ok(layers)
    }
}

fn invalid(path: &Path, object: &str, expected: String, found: &str) -> PresetError {
    let detail = format!("expected {expected}, found {found}");
    LORA.malformed(path.display().to_string(), object, detail)
}
