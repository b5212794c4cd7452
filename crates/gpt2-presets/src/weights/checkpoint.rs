//! Weights files as one set of named tensors.

use std::collections::BTreeMap;

use crate::error::PresetError;
use crate::tensors::tensor_part::TensorPart;
use crate::tensors::weights_file::{Values, WeightsFile};
use crate::weights::weight_map::WeightMap;

/// All tensors of a preset.
pub(crate) struct Checkpoint {
    /// Weight map of the format.
    pub(crate) map: &'static WeightMap,
    files: Vec<Box<dyn WeightsFile>>,
    tensors: BTreeMap<String, Entry>,
}

/// Location of a tensor.
struct Entry {
    file: usize,
    /// Name in the file, from which the canonical name was derived.
    name: String,
}

impl Checkpoint {
    /// Lists the tensors of these files by their canonical names, without reading any.
    pub(crate) fn new<F: WeightsFile + 'static>(
        map: &'static WeightMap,
        files: impl IntoIterator<Item = Result<F, PresetError>>,
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
            let entry = Entry { file: index, name };
            if let Some(first) = self.tensors.get(&tensor) {
                let (first, second) = (first.name.clone(), entry.name);
                return Err(PresetError::DuplicateTensor { tensor, first, second });
            }
            self.tensors.insert(tensor, entry);
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
        self.tensors.iter().map(|(tensor, entry)| (tensor.as_str(), entry.name.as_str()))
    }

    /// Name in the file of a tensor with this canonical name.
    pub(crate) fn name_of(&self, tensor: &str) -> String {
        self.tensors.get(tensor).map_or_else(|| tensor.to_owned(), |entry| entry.name.clone())
    }

    /// Shape of a tensor for which [`has`](Self::has) is true.
    pub(crate) fn inspect(&mut self, tensor: &str) -> Result<Vec<usize>, PresetError> {
        let entry = &self.tensors[tensor];
        self.files[entry.file].inspect(&entry.name)
    }

    /// Values of a part of an inspected tensor.
    pub(crate) fn read(
        &mut self,
        tensor: &str,
        part: TensorPart,
        share: bool,
    ) -> Result<Values, PresetError> {
        let entry = &self.tensors[tensor];
        self.files[entry.file].read(&entry.name, part, share)
    }

    /// Whether two existing tensors have the same shape and the same values, bit for bit. Reads
    /// both in pieces, up to the first difference.
    pub(crate) fn are_equal(&mut self, first: &str, second: &str) -> Result<bool, PresetError> {
        const PIECE: usize = 65_536;
        let shape = self.inspect(first)?;
        if self.inspect(second)? != shape {
            return Ok(false);
        }
        for piece in TensorPart::pieces(&shape, PIECE) {
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
