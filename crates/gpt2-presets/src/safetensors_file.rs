//! Stage 6c: the tensors of a safetensors file.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use bytes::Bytes;
use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
use half::{bf16, f16};
use memmap2::Mmap;
use safetensors::Dtype;
use safetensors::tensor::TensorInfo;

use crate::PresetError;
use crate::checkpoint::{Values, WeightsFile};
use crate::files::{Blob, PresetFiles, io_error};
use crate::safetensors_header::{self, Header, PREFIX};
use crate::weight_map::Part;

/// An open safetensors file.
pub(crate) struct SafetensorsFile {
    /// What messages call it.
    display: String,
    blob: Blob,
    /// The whole file, where its tensors may be used in place.
    shared: Option<Bytes>,
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
        let io = |error| io_error(Path::new(&display))(error);
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
        let shared = if memory_map { Some(blob.share().map_err(io)?) } else { None };
        Ok(Self { display, blob, shared, header })
    }

    /// What the file says about itself.
    pub(crate) fn metadata(&self, key: &str) -> Option<&str> {
        self.header.metadata.get(key).map(String::as_str)
    }

    /// The bytes of a one-dimensional tensor of them; none if there is no such tensor.
    pub(crate) fn read_bytes(&mut self, name: &str) -> Result<Option<Vec<u8>>, PresetError> {
        let info = self.header.tensors.get(name);
        let Some(info) = info.filter(|info| info.dtype == Dtype::U8).cloned() else {
            return Ok(None);
        };
        let mut bytes = vec![0; info.shape.iter().product()];
        let read = self.copy(&info, Part::Whole, &mut bytes);
        read.map_err(|error| io_error(Path::new(&self.display))(error))?;
        Ok(Some(bytes))
    }

    /// The tensor in place, if it lies there as 32-bit floats must.
    fn share(&self, info: &TensorInfo) -> Option<Bytes> {
        let shared = self.shared.as_ref()?;
        let (start, end) = info.data_offsets;
        let data_start = self.header.data_start as usize;
        // The header was checked against the file's size then; the file may have changed since.
        let range = data_start + start..data_start + end;
        let bytes = shared.get(range.clone())?;
        let usable = info.dtype == Dtype::F32 && bytemuck::try_cast_slice::<u8, f32>(bytes).is_ok();
        usable.then(|| shared.slice(range))
    }

    /// Copies a part of a tensor, row by row, into `out`.
    ///
    /// Past the memory map: pages read through it would stay with the process beside the copy.
    fn copy(&mut self, info: &TensorInfo, part: Part, out: &mut [u8]) -> std::io::Result<()> {
        let start = self.header.data_start + info.data_offsets.0 as u64;
        let Part::Third(third) = part else { return self.blob.read_at(start, out) };
        let width = info.shape.last().map_or(0, |columns| columns / 3) * info.dtype.bitsize() / 8;
        for (row, out) in out.chunks_exact_mut(width.max(1)).enumerate() {
            self.blob.read_at(start + ((3 * row + third) * width) as u64, out)?;
        }
        Ok(())
    }

    /// A part of a tensor, in the order of the file, converted to 32-bit floats.
    fn read_copy(&mut self, info: &TensorInfo, part: Part) -> std::io::Result<Vec<f32>> {
        let elements: usize = info.shape.iter().product();
        let count = if matches!(part, Part::Third(_)) { elements / 3 } else { elements };
        let mut values = vec![0f32; count];
        if info.dtype == Dtype::F32 {
            self.copy(info, part, bytemuck::cast_slice_mut(&mut values))?;
            return Ok(values);
        }
        let mut bits = vec![0u16; count];
        self.copy(info, part, bytemuck::cast_slice_mut(&mut bits))?;
        if info.dtype == Dtype::F16 {
            bits.reinterpret_cast::<f16>().convert_to_f32_slice(&mut values);
        } else {
            bits.reinterpret_cast::<bf16>().convert_to_f32_slice(&mut values);
        }
        Ok(values)
    }
}

impl WeightsFile for SafetensorsFile {
    fn names(&self) -> Vec<String> {
        self.header.tensors.keys().cloned().collect()
    }

    fn inspect(&mut self, name: &str) -> Result<Vec<usize>, PresetError> {
        let info = &self.header.tensors[name];
        if matches!(info.dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16) {
            Ok(info.shape.clone())
        } else {
            let (tensor, found) = (name.to_owned(), info.dtype.to_string());
            Err(PresetError::UnsupportedElementType { tensor, found })
        }
    }

    fn read(&mut self, name: &str, part: Part, share: bool) -> Result<Values, PresetError> {
        let info = self.header.tensors[name].clone();
        if share
            && part == Part::Whole
            && let Some(bytes) = self.share(&info)
        {
            return Ok(Values::Shared(bytes));
        }
        let values = self.read_copy(&info, part);
        let values = values.map_err(|error| io_error(Path::new(&self.display))(error))?;
        Ok(Values::Owned(match (part, info.shape.as_slice()) {
            (Part::Transposed, &[rows, columns]) => transposed(&values, rows, columns),
            _ => values,
        }))
    }
}

impl Blob {
    fn size(&self) -> std::io::Result<u64> {
        match self {
            Self::File(file) => Ok(file.metadata()?.len()),
            Self::Embedded(bytes) => Ok(bytes.len() as u64),
        }
    }

    fn read_at(&mut self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        match self {
            Self::File(file) => {
                file.seek(SeekFrom::Start(offset))?;
                file.read_exact(out)
            }
            Self::Embedded(bytes) => {
                let mut rest = bytes.get(offset as usize..).unwrap_or_default();
                rest.read_exact(out)
            }
        }
    }

    fn share(&self) -> std::io::Result<Bytes> {
        match self {
            Self::File(file) => Ok(Bytes::from_owner(map(file)?)),
            Self::Embedded(bytes) => Ok(Bytes::from_static(bytes)),
        }
    }
}

#[allow(unsafe_code, reason = "the one place: a memory map")]
fn map(file: &File) -> std::io::Result<Mmap> {
    // SAFETY: the map is read only, and every bit pattern is a valid `f32`, so nothing in this
    // process breaks its promises to the compiler. What remains is another process that writes to
    // or truncates the file meanwhile; `LoadOptions::memory_map` tells the user not to do that,
    // and how to load without a map.
    unsafe { Mmap::map(file) }
}

/// Exchanges rows and columns, in squares that stay in the cache.
pub(crate) fn transposed(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    const SIDE: usize = 32;
    let mut out = vec![0.0; values.len()];
    for top in (0..rows).step_by(SIDE) {
        for left in (0..columns).step_by(SIDE) {
            for row in top..rows.min(top + SIDE) {
                for column in left..columns.min(left + SIDE) {
                    out[column * rows + row] = values[row * columns + column];
                }
            }
        }
    }
    out
}
