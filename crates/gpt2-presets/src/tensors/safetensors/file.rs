//! Stage 6c: the tensors of a safetensors file.

use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::TensorInfo;

use crate::error::PresetError;
use crate::source::files::PresetFiles;
use crate::tensors::float_reader::{Element, FloatReader, StoredTensor};
use crate::tensors::part::Part;
use crate::tensors::safetensors::header as safetensors_header;
use crate::tensors::safetensors::header::{Header, PREFIX};
use crate::weights::checkpoint::{Values, WeightsFile};
use gpt2_files::read_error;

/// An open safetensors file.
pub(crate) struct SafetensorsFile {
    reader: FloatReader,
    header: Header,
}

impl SafetensorsFile {
    /// Reads and checks the header, and maps the file if told so.
    pub(crate) fn open(
        files: &PresetFiles,
        name: &str,
        memory_map: bool,
    ) -> Result<Self, PresetError> {
        let display = files.display(name);
        let io = |error| read_error(Path::new(&display))(error);
        let mut blob = files.open(name)?;
        let size = blob.size().map_err(io)?;
        let mut prefix = [0; PREFIX as usize];
        if size < PREFIX {
            let (field, detail) = ("header length".to_owned(), format!("a file of {size} bytes"));
            return Err(PresetError::InvalidSafetensors { file: display, field, detail });
        }
        blob.read_at(0, &mut prefix).map_err(io)?;
        let length = safetensors_header::header_length(prefix, size, &display)?;
        let mut header = vec![0; length as usize];
        blob.read_at(PREFIX, &mut header).map_err(io)?;
        let header = safetensors_header::parse(&header, size, &display)?;
        Ok(Self { reader: FloatReader::new(display, blob, memory_map)?, header })
    }

    /// What the file says about itself.
    pub(crate) fn metadata(&self, key: &str) -> Option<&str> {
        self.header.metadata.get(key).map(String::as_str)
    }

    /// The bytes of a one-dimensional tensor of them; none if there is no such tensor.
    pub(crate) fn read_bytes(&mut self, name: &str) -> Result<Option<Vec<u8>>, PresetError> {
        let info = self.header.tensors.get(name);
        let Some(info) = info.filter(|info| info.dtype == Dtype::U8) else {
            return Ok(None);
        };
        let mut bytes = vec![0; info.shape.iter().product()];
        self.reader.read_at(self.header.start(info), &mut bytes)?;
        Ok(Some(bytes))
    }

    fn stored(&self, name: &str) -> Result<StoredTensor, PresetError> {
        let info = &self.header.tensors[name];
        let element = match info.dtype {
            Dtype::F32 => Element::F32,
            Dtype::F16 => Element::F16,
            Dtype::BF16 => Element::Bf16,
            other => {
                let (tensor, found) = (name.to_owned(), other.to_string());
                return Err(PresetError::UnsupportedElementType { tensor, found });
            }
        };
        Ok(StoredTensor { start: self.header.start(info), element, shape: info.shape.clone() })
    }
}

impl Header {
    /// Offset in the file of a tensor's first byte.
    fn start(&self, info: &TensorInfo) -> u64 {
        self.data_start + info.data_offsets.0 as u64
    }
}

impl WeightsFile for SafetensorsFile {
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
