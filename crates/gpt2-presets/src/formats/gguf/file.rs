//! Stage 6i: the tensors of a GGUF file.

use crate::error::PresetError;
use crate::formats::gguf::header::Header;
use crate::source::files::{GGUF_FILE, PresetFiles};
use crate::tensors::float_reader::{FloatReader, StoredTensor};
use crate::tensors::part::Part;
use crate::weights::checkpoint::{Values, WeightsFile};

/// An open GGUF file.
pub(crate) struct GgufFile {
    pub(crate) header: Header,
    reader: FloatReader,
}

impl GgufFile {
    /// Reads and checks the header, and maps the file if told so.
    pub(crate) fn open(files: &PresetFiles, memory_map: bool) -> Result<Self, PresetError> {
        let (display, mut blob) = (files.display(GGUF_FILE), files.open(GGUF_FILE)?);
        let header = Header::read(&mut blob, &display)?;
        Ok(Self { header, reader: FloatReader::new(display, blob, memory_map)? })
    }

    fn stored(&self, name: &str) -> Result<StoredTensor, PresetError> {
        let info = &self.header.tensors[name];
        let Some(element) = info.tensor_type.element() else {
            let (tensor, found) = (name.to_owned(), info.tensor_type.name.to_owned());
            return Err(PresetError::UnsupportedElementType { tensor, found });
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

    fn read(&mut self, name: &str, part: Part, share: bool) -> Result<Values, PresetError> {
        let tensor = self.stored(name)?;
        self.reader.read(&tensor, part, share)
    }
}
