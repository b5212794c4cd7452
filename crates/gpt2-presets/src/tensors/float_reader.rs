//! Stage 6: parts of the tensors in a file to 32-bit floats.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use bytes::Bytes;
use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
use half::{bf16, f16};
use memmap2::Mmap;

use crate::error::PresetError;
use crate::source::files::Blob;
use crate::tensors::blocks as quantized;
use crate::tensors::part::{Block, Part};
use crate::weights::checkpoint::Values;
use gpt2_files::read_error;

/// A tensor whose range was checked against the size of its file.
#[derive(Debug, Clone)]
pub(crate) struct StoredTensor {
    /// Offset in the file of its first byte.
    pub(crate) start: u64,
    /// How its elements are stored.
    pub(crate) element: Element,
    /// Its shape; all sizes that follow from it can be computed.
    pub(crate) shape: Vec<usize>,
}

/// How a file stores floats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Element {
    F32,
    F16,
    Bf16,
    /// GGUF: blocks of integers of 8 bits with a common factor.
    Q8_0,
    /// GGUF: blocks of integers of 4 bits with a common factor.
    Q4_0,
    /// GGUF: blocks of integers of 6 bits with factors of their own.
    Q6K,
}

impl Element {
    /// Elements and bytes of a block, which cannot be divided.
    pub(crate) fn block(self) -> (usize, usize) {
        match self {
            Self::F32 => (1, 4),
            Self::F16 | Self::Bf16 => (1, 2),
            Self::Q8_0 => (quantized::BLOCK, quantized::Q8_0_SIZE),
            Self::Q4_0 => (quantized::BLOCK, quantized::Q4_0_SIZE),
            Self::Q6K => (quantized::LARGE_BLOCK, quantized::Q6_K_SIZE),
        }
    }

    /// Decodes whole blocks.
    pub(crate) fn decode(self, bytes: &[u8], out: &mut [f32]) {
        let halves = || bytemuck::pod_collect_to_vec::<u8, u16>(bytes);
        match self {
            Self::F32 => bytemuck::cast_slice_mut(out).copy_from_slice(bytes),
            Self::F16 => halves().reinterpret_cast::<f16>().convert_to_f32_slice(out),
            Self::Bf16 => halves().reinterpret_cast::<bf16>().convert_to_f32_slice(out),
            Self::Q8_0 => quantized::decode_q8_0(bytes, out),
            Self::Q4_0 => quantized::decode_q4_0(bytes, out),
            Self::Q6K => quantized::decode_q6_k(bytes, out),
        }
    }
}

/// A file with tensors.
pub(crate) struct FloatReader {
    /// What messages call it.
    display: String,
    blob: Blob,
    /// The whole file, where its tensors may be used in place.
    shared: Option<Bytes>,
}

impl FloatReader {
    /// Maps the file if told so.
    pub(crate) fn new(display: String, blob: Blob, memory_map: bool) -> Result<Self, PresetError> {
        let shared = if memory_map { Some(blob.share()) } else { None };
        let shared = shared.transpose().map_err(|error| read_error(Path::new(&display))(error))?;
        Ok(Self { display, blob, shared })
    }

    /// The values of a part of a tensor. With `share`, they may lie in the memory map.
    pub(crate) fn read(
        &mut self,
        tensor: &StoredTensor,
        part: Part,
        share: bool,
    ) -> Result<Values, PresetError> {
        let block = part.block(&tensor.shape);
        if share
            && !part.transposed
            && let Some(bytes) = self.share(tensor, &block)
        {
            return Ok(Values::Shared(bytes));
        }
        let values = self.copy(tensor, part);
        Ok(Values::Owned(values.map_err(read_error(Path::new(&self.display)))?))
    }

    /// Fills `out` with the bytes at an offset.
    pub(crate) fn read_at(&mut self, offset: u64, out: &mut [u8]) -> Result<(), PresetError> {
        let read = self.blob.read_at(offset, out);
        Ok(read.map_err(read_error(Path::new(&self.display)))?)
    }

    /// The block in place, if it is one run and lies there as 32-bit floats must.
    fn share(&self, tensor: &StoredTensor, block: &Block) -> Option<Bytes> {
        let shared = self.shared.as_ref()?;
        if tensor.element != Element::F32 || block.run() != block.elements() {
            return None;
        }
        let start = usize::try_from(tensor.start).ok()? + 4 * block.start(0);
        // It was checked against the file's size then; the file may have changed since.
        let range = start..start + 4 * block.elements();
        let bytes = shared.get(range.clone())?;
        bytemuck::try_cast_slice::<u8, f32>(bytes).ok()?;
        Some(shared.slice(range))
    }

    /// Copies and decodes a part.
    ///
    /// Past the memory map: pages read through it would stay with the process beside the copy.
    fn copy(&mut self, tensor: &StoredTensor, part: Part) -> io::Result<Vec<f32>> {
        let mut bytes = Vec::new();
        gathered(tensor.element, part, &tensor.shape, |offset, size, values| {
            let start = tensor.start + offset as u64;
            if tensor.element == Element::F32 {
                return self.blob.read_at(start, bytemuck::cast_slice_mut(values));
            }
            bytes.resize(size, 0);
            self.blob.read_at(start, &mut bytes)?;
            tensor.element.decode(&bytes, values);
            Ok(())
        })
    }
}

/// The values of a part of a tensor of this shape, run by run and in pieces: no second copy of the
/// tensor. `fill` gets where the bytes of each piece begin in the tensor and how many they are.
pub(crate) fn gathered<E>(
    element: Element,
    part: Part,
    shape: &[usize],
    mut fill: impl FnMut(usize, usize, &mut [f32]) -> Result<(), E>,
) -> Result<Vec<f32>, E> {
    const PIECE: usize = 65_536;
    let block = part.block(shape);
    let (length, size) = element.block();
    let run = block.run().max(1);
    let mut values = vec![0.0; block.elements()];
    for (index, values) in values.chunks_mut(run).enumerate() {
        let first = block.start(index * run / block.columns.max(1));
        assert!(first.is_multiple_of(length) && run.is_multiple_of(length), "whole blocks");
        for (index, values) in values.chunks_mut(PIECE).enumerate() {
            let offset = (first + index * PIECE) / length * size;
            fill(offset, values.len() / length * size, values)?;
        }
    }
    // With the bytes that it may hold.
    drop(fill);
    Ok(if part.transposed { transposed(&values, block.rows, block.columns) } else { values })
}

impl Blob {
    pub(crate) fn size(&self) -> io::Result<u64> {
        match self {
            Self::File(file) => Ok(file.metadata()?.len()),
            Self::Embedded(bytes) => Ok(bytes.len() as u64),
        }
    }

    pub(crate) fn read_at(&mut self, offset: u64, out: &mut [u8]) -> io::Result<()> {
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

    fn share(&self) -> io::Result<Bytes> {
        match self {
            Self::File(file) => Ok(Bytes::from_owner(map(file)?)),
            Self::Embedded(bytes) => Ok(Bytes::from_static(bytes)),
        }
    }
}

#[allow(unsafe_code, reason = "the one place: a memory map")]
fn map(file: &File) -> io::Result<Mmap> {
    // SAFETY: the map is read only, and every bit pattern is a valid `f32`, so nothing in this
    // process breaks its promises to the compiler. What remains is another process that writes to
    // or truncates the file meanwhile; `LoadOptions::memory_map` tells the user not to do that,
    // and how to load without a map.
    unsafe { Mmap::map(file) }
}

/// Exchanges rows and columns, in squares that stay in the cache.
fn transposed(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
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
