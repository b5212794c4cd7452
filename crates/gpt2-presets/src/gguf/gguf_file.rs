//! Stage 6g: the tensors of a GGUF file.

use std::io;
use std::path::Path;

use crate::PresetError;
use crate::checkpoint::{Values, WeightsFile};
use crate::files::{Blob, GGUF_FILE, PresetFiles, io_error};
use crate::float_reader::{FloatReader, StoredTensor};
use crate::gguf::header::Header;
use crate::part::Part;

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

/// Whether two tensors, if both exist, are the same bit for bit. The first difference ends the
/// comparison, so for tensors that are not it costs nothing.
pub(crate) fn are_equal(
    files: &PresetFiles,
    header: &Header,
    first: &str,
    second: &str,
) -> Result<bool, PresetError> {
    let (Some(first), Some(second)) = (header.tensors.get(first), header.tensors.get(second))
    else {
        return Ok(false);
    };
    if (first.tensor_type, &first.shape) != (second.tensor_type, &second.shape) {
        return Ok(false);
    }
    let mut blob = files.open(GGUF_FILE)?;
    let equal = ranges_are_equal(&mut blob, (first.start, second.start), first.size);
    equal.map_err(|error| io_error(Path::new(&files.display(GGUF_FILE)))(error))
}

fn ranges_are_equal(blob: &mut Blob, starts: (u64, u64), size: u64) -> io::Result<bool> {
    const PIECE: u64 = 65_536;
    for offset in (0..size).step_by(PIECE as usize) {
        let length = PIECE.min(size - offset) as usize;
        let (mut first, mut second) = (vec![0; length], vec![0; length]);
        blob.read_at(starts.0 + offset, &mut first)?;
        blob.read_at(starts.1 + offset, &mut second)?;
        if first != second {
            return Ok(false);
        }
    }
    Ok(true)
}
