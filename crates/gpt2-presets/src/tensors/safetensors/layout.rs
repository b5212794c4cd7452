//! Stage 10g: the header of a safetensors file, and where each tensor goes.

use safetensors::Dtype;
use safetensors::tensor::TensorInfo;
use serde_json::{Map, Value, json};

use crate::tensors::safetensors::header::METADATA;

/// A header under construction. Tensors lie in the file in the order in which they are added.
pub(crate) struct Layout {
    header: Map<String, Value>,
    end: usize,
}

impl Layout {
    /// A file with this metadata and no tensors.
    pub(crate) fn new(metadata: &[(&str, String)]) -> Self {
        let metadata: Map<_, _> =
            metadata.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
        Self { header: Map::from_iter([(METADATA.to_owned(), Value::Object(metadata))]), end: 0 }
    }

    /// Adds a tensor; returns the offset of its first byte behind the header.
    pub(crate) fn add(&mut self, name: &str, dtype: Dtype, shape: &[usize]) -> u64 {
        let start = self.end;
        self.end += shape.iter().product::<usize>() * dtype.bitsize() / 8;
        let data_offsets = (start, self.end);
        let info = TensorInfo { dtype, shape: shape.to_vec(), data_offsets };
        self.header.insert(name.to_owned(), json!(info));
        start as u64
    }

    /// All bytes in front of the tensors.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        let header = Value::Object(self.header).to_string();
        // Padded, so that the tensors are aligned for a reader that maps the file.
        let length = header.len().next_multiple_of(8);
        let mut bytes = (length as u64).to_le_bytes().to_vec();
        bytes.extend(format!("{header:length$}").bytes());
        bytes
    }
}
