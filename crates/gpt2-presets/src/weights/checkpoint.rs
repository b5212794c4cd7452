//! Stage 6: the files with the weights, seen as one set of named tensors.

use std::collections::BTreeMap;
use std::slice;

use burn::tensor::{AllocationProperty, Bytes, DType, TensorData};

use crate::error::PresetError;
use crate::formats::format::PresetFormat;
use crate::formats::gguf::file::GgufFile;
use crate::formats::gguf::weight_map::GGUF;
use crate::formats::keras::shards as keras_shards;
use crate::formats::keras::weight_map::KERAS;
use crate::formats::transformers::shards as transformers_shards;
use crate::formats::transformers::weight_map::TRANSFORMERS;
use crate::source::files::{GGUF_FILE, PresetFiles};
use crate::tensors::hdf5::file::Hdf5File;
use crate::tensors::part::Part;
use crate::tensors::pytorch::file::PytorchFile;
use crate::tensors::safetensors::file::SafetensorsFile;
use crate::weights::shard_index::shard_names;
use crate::weights::weight_map::WeightMap;

/// One file with weights.
pub(crate) trait WeightsFile {
    /// The names of all tensors.
    fn names(&self) -> Vec<String>;

    /// The shape of a tensor, after every check that can be made without reading it.
    fn inspect(&mut self, name: &str) -> Result<Vec<usize>, PresetError>;

    /// The values of a part of an inspected tensor, as 32-bit floats. With `share`, they may lie
    /// in the file's memory map.
    fn read(&mut self, name: &str, part: Part, share: bool) -> Result<Values, PresetError>;
}

/// Values of a tensor.
pub(crate) enum Values {
    /// In memory of their own.
    Owned(Vec<f32>),
    /// In memory that is shared with the file. Aligned as 32-bit floats are.
    Shared(bytes::Bytes),
}

impl Values {
    pub(crate) fn as_slice(&self) -> &[f32] {
        match self {
            Self::Owned(values) => values,
            Self::Shared(bytes) => bytemuck::cast_slice(bytes),
        }
    }

    /// Hands them to burn without a copy. Burn copies shared ones when it first writes to them.
    pub(crate) fn into_data(self, shape: &[usize]) -> TensorData {
        match self {
            Self::Owned(values) => TensorData::new(values, shape.to_vec()),
            Self::Shared(bytes) => {
                let bytes = Bytes::from_shared(bytes, AllocationProperty::Other);
                TensorData::from_bytes(bytes, shape.to_vec(), DType::F32)
            }
        }
    }
}

/// All tensors of a preset.
pub(crate) struct Checkpoint {
    /// The names that the format gives to the tensors.
    pub(crate) map: &'static WeightMap,
    files: Vec<Box<dyn WeightsFile>>,
    tensors: BTreeMap<String, Place>,
}

/// Where a tensor is.
struct Place {
    file: usize,
    /// Its name there, from which the canonical one was made.
    name: String,
}

impl Checkpoint {
    /// Opens the weights of a preset and lists their tensors; reads none.
    pub(crate) fn open(
        files: &PresetFiles,
        format: PresetFormat,
        preset: &str,
        memory_map: bool,
    ) -> Result<Self, PresetError> {
        let (kind, names) = file_names(files, format, preset)?;
        let names = names.iter();
        match kind {
            Kind::Keras => {
                Self::of_files(&KERAS, names.map(|name| Hdf5File::open(files, name, memory_map)))
            }
            Kind::Safetensors => {
                let open = |name: &String| SafetensorsFile::open(files, name, memory_map);
                Self::of_files(&TRANSFORMERS, names.map(open))
            }
            Kind::Pytorch => {
                let open = |name: &String| PytorchFile::open(files, name);
                Self::of_files(&TRANSFORMERS, names.map(open))
            }
            Kind::Gguf => Self::of_files(&GGUF, names.map(|_| GgufFile::open(files, memory_map))),
        }
    }

    /// Opens these weights files of Keras.
    pub(crate) fn open_keras(files: &PresetFiles, names: &[String]) -> Result<Self, PresetError> {
        Self::of_files(&KERAS, names.iter().map(|name| Hdf5File::open(files, name, false)))
    }

    fn of_files<F: WeightsFile + 'static>(
        map: &'static WeightMap,
        files: impl Iterator<Item = Result<F, PresetError>>,
    ) -> Result<Self, PresetError> {
        let mut checkpoint = Self { map, files: Vec::new(), tensors: BTreeMap::new() };
        for file in files {
            checkpoint.add(Box::new(file?))?;
        }
        Ok(checkpoint)
    }

    fn add(&mut self, file: Box<dyn WeightsFile>) -> Result<(), PresetError> {
        let index = self.files.len();
        for name in file.names() {
            let tensor = (self.map.canonical)(&name);
            let place = Place { file: index, name };
            if let Some(first) = self.tensors.get(&tensor) {
                let (first, second) = (first.name.clone(), place.name);
                return Err(PresetError::DuplicateTensor { tensor, first, second });
            }
            self.tensors.insert(tensor, place);
        }
        self.files.push(file);
        Ok(())
    }

    /// Whether there is a tensor with this canonical name.
    pub(crate) fn has(&self, tensor: &str) -> bool {
        self.tensors.contains_key(tensor)
    }

    /// All canonical names, each with the name in the file.
    pub(crate) fn tensors(&self) -> impl Iterator<Item = (&str, &str)> {
        self.tensors.iter().map(|(tensor, place)| (tensor.as_str(), place.name.as_str()))
    }

    /// The name in the file of a tensor with this canonical name.
    pub(crate) fn name_of(&self, tensor: &str) -> String {
        self.tensors.get(tensor).map_or_else(|| tensor.to_owned(), |place| place.name.clone())
    }

    /// The shape of a tensor that [`has`](Self::has) found.
    pub(crate) fn inspect(&mut self, tensor: &str) -> Result<Vec<usize>, PresetError> {
        let place = &self.tensors[tensor];
        self.files[place.file].inspect(&place.name)
    }

    /// The values of a part of a tensor that was inspected.
    pub(crate) fn read(
        &mut self,
        tensor: &str,
        part: Part,
        share: bool,
    ) -> Result<Values, PresetError> {
        let place = &self.tensors[tensor];
        self.files[place.file].read(&place.name, part, share)
    }

    /// Whether two tensors that [`has`](Self::has) found have the same shape and, bit for bit, the
    /// same values. They are read in pieces, and the first difference ends it.
    pub(crate) fn are_equal(&mut self, first: &str, second: &str) -> Result<bool, PresetError> {
        const PIECE: usize = 65_536;
        let shape = self.inspect(first)?;
        if self.inspect(second)? != shape {
            return Ok(false);
        }
        for piece in Part::pieces(&shape, PIECE) {
            let first = self.read(first, piece, false)?;
            let second = self.read(second, piece, false)?;
            let bits = |values| bytemuck::cast_slice::<f32, u32>(values);
            if bits(first.as_slice()) != bits(second.as_slice()) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// A kind of files with weights.
#[derive(Clone, Copy)]
enum Kind {
    Keras,
    Safetensors,
    Pytorch,
    Gguf,
}

impl Kind {
    /// The name of the one file, and of the list of files where there are more.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Keras => (keras_shards::WHOLE, keras_shards::INDEX),
            Self::Safetensors => (transformers_shards::WHOLE, transformers_shards::INDEX),
            Self::Pytorch => ("pytorch_model.bin", "pytorch_model.bin.index.json"),
            Self::Gguf => (GGUF_FILE, GGUF_FILE),
        }
    }
}

/// The kind and the names of the files with the weights: one, or the shards of an index.
fn file_names(
    files: &PresetFiles,
    format: PresetFormat,
    preset: &str,
) -> Result<(Kind, Vec<String>), PresetError> {
    let (kinds, remedy): (&[Kind], _) = match format {
        PresetFormat::Keras => {
            (&[Kind::Keras], "download or save the preset again, or load it without weights")
        }
        PresetFormat::Transformers => (
            &[Kind::Safetensors, Kind::Pytorch],
            "export the model with `save_pretrained`, or load it without weights",
        ),
        PresetFormat::Gguf => return Ok((Kind::Gguf, vec![GGUF_FILE.to_owned()])),
    };
    let choices: Vec<_> = kinds
        .iter()
        .flat_map(|kind| {
            let (whole, index) = kind.names();
            [(*kind, whole, false), (*kind, index, true)]
        })
        .collect();
    if let Some(found) = files.first_of(choices.iter().map(|(_, name, _)| slice::from_ref(name)))? {
        let (kind, name, is_index) = choices[found];
        let names =
            if is_index { shard_names(files, name, preset)? } else { vec![name.to_owned()] };
        return Ok((kind, names));
    }
    let (whole, index) = kinds[0].names();
    let file = format!("{whole}` or `{index}");
    Err(PresetError::MissingFile { preset: preset.to_owned(), file, remedy })
}
