//! Tensors of a safetensors file.

use std::path::Path;

use gpt2_files::read_error;
use safetensors::Dtype;
use safetensors::tensor::TensorInfo;

use crate::error::PresetError;
use crate::source::preset_folder::PresetFolder;
use crate::tensors::element_type::{BF16, F16, F32, FLOAT_NAMES};
use crate::tensors::float_reader::{FloatReader, StoredTensor};
use crate::tensors::safetensors::header::{Header, PREFIX, SAFETENSORS, header_length, parse};
use crate::tensors::tensor_part::TensorPart;
use crate::tensors::weights_file::{Values, WeightsFile};

/// An open safetensors file.
pub(crate) struct SafetensorsFile {
    reader: FloatReader,
    header: Header,
}

impl SafetensorsFile {
    /// Reads and checks the header, and maps the file with `memory_map`.
    pub(crate) fn open(
        folder: &dyn PresetFolder,
        name: &str,
        memory_map: bool,
    ) -> Result<Self, PresetError> {
        let display = folder.display(name);
        let io = |error| read_error(Path::new(&display))(error);
        let mut blob = folder.open(name)?;
        let size = blob.size().map_err(io)?;
        let mut prefix = [0; PREFIX as usize];
        if size < PREFIX {
            let detail = format!("a file of {size} bytes");
            return Err(SAFETENSORS.malformed(display, "header length", detail));
        }
        blob.read_at(0, &mut prefix).map_err(io)?;
        let length = header_length(prefix, size, &display)?;
        let mut header = vec![0; length as usize];
        blob.read_at(PREFIX, &mut header).map_err(io)?;
        let header = parse(&header, size, &display)?;
        Ok(Self { reader: FloatReader::new(display, blob, memory_map)?, header })
    }

    /// Value of a metadata key.
    pub(crate) fn metadata(&self, key: &str) -> Option<&str> {
        self.header.metadata.get(key).map(String::as_str)
    }

    /// Bytes of a one-dimensional tensor of bytes. None if there is no such tensor.
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
            Dtype::F32 => &F32,
            Dtype::F16 => &F16,
            Dtype::BF16 => &BF16,
            other => {
                let (tensor, found) = (name.to_owned(), other.to_string());
                let expected = FLOAT_NAMES.to_owned();
                return Err(PresetError::UnsupportedElementType { tensor, found, expected });
            }
        };
        Ok(StoredTensor { start: self.header.start(info), element, shape: info.shape.clone() })
    }
}

impl Header {
    /// Offset of a tensor's first byte in the file.
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

    fn read(&mut self, name: &str, part: TensorPart, share: bool) -> Result<Values, PresetError> {
        let tensor = self.stored(name)?;
        self.reader.read(&tensor, part, share)
    }
}
