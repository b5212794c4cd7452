//! The tensors of a GGUF file.

use std::sync::Arc;

use crate::error::PresetError;
use crate::formats::gguf::header::Header;
use crate::formats::gguf::tensor_type::read_types;
use crate::source::blob::Blob;
use crate::tensors::float_reader::{FloatReader, StoredTensor};
use crate::tensors::tensor_part::TensorPart;
use crate::tensors::weights_file::{Values, WeightsFile};

/// An open GGUF file.
pub(crate) struct GgufFile {
    header: Arc<Header>,
    reader: FloatReader,
}

impl GgufFile {
    /// Tensors that a header describes, in the header's file, which is mapped with `memory_map`.
    pub(crate) fn new(
        header: Arc<Header>,
        display: String,
        blob: Blob,
        memory_map: bool,
    ) -> Result<Self, PresetError> {
        Ok(Self { header, reader: FloatReader::new(display, blob, memory_map)? })
    }

    fn stored(&self, name: &str) -> Result<StoredTensor, PresetError> {
        let info = &self.header.tensors[name];
        let Some(element) = info.tensor_type.element else {
            let (tensor, found) = (name.to_owned(), info.tensor_type.name.to_owned());
            let expected = read_types().join(", ");
            return Err(PresetError::UnsupportedElementType { tensor, found, expected });
        };
        Ok(StoredTensor { start: info.start, element, shape: info.shape.clone() })
    }
}

impl WeightsFile for GgufFile {
    fn names(&self) -> Vec<String> {
        self.header.tensors.keys().cloned().collect()
    }

    fn inspect(&mut self, name: &str) -> Result<Vec<usize>, PresetError> {
        Ok(self.stored(name)?.shape)
    }

    fn read(&mut self, name: &str, part: TensorPart, share: bool) -> Result<Values, PresetError> {
        let tensor = self.stored(name)?;
        self.reader.read(&tensor, part, share)
    }
}
