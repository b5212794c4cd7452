//! Reader of parts of tensors in a file, as 32-bit floats.

use std::io;
use std::path::Path;

use bytes::Bytes;
use gpt2_files::read_error;

use crate::error::PresetError;
use crate::source::blob::Blob;
use crate::tensors::element_type::{ElementType, F32};
use crate::tensors::tensor_part::{Rectangle, TensorPart};
use crate::tensors::weights_file::Values;

/// A tensor whose location was checked against the file's size.
#[derive(Debug, Clone)]
pub(crate) struct StoredTensor {
    /// Offset of the tensor's first byte in the file.
    pub(crate) start: u64,
    /// Type of its elements.
    pub(crate) element: &'static ElementType,
    /// Shape, which was checked not to overflow.
    pub(crate) shape: Vec<usize>,
}

/// A file with tensors.
pub(crate) struct FloatReader {
    /// Name in messages.
    display: String,
    blob: Blob,
    /// The whole file, if its tensors may be used in place.
    shared: Option<Bytes>,
}

impl FloatReader {
    /// Maps the file with `memory_map`.
    pub(crate) fn new(display: String, blob: Blob, memory_map: bool) -> Result<Self, PresetError> {
        let shared = if memory_map { Some(blob.share()) } else { None };
        let shared = shared.transpose().map_err(|error| read_error(Path::new(&display))(error))?;
        Ok(Self { display, blob, shared })
    }

    /// Values of a part of a tensor. With `share` they may be in the memory map.
    pub(crate) fn read(
        &mut self,
        tensor: &StoredTensor,
        part: TensorPart,
        share: bool,
    ) -> Result<Values, PresetError> {
        let rectangle = part.rectangle(&tensor.shape);
        if share
            && !part.transposed
            && let Some(bytes) = self.share(tensor, &rectangle)
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

    /// The rectangle in place, if it is contiguous and aligned for 32-bit floats.
    fn share(&self, tensor: &StoredTensor, rectangle: &Rectangle) -> Option<Bytes> {
        let shared = self.shared.as_ref()?;
        if *tensor.element != F32 || rectangle.run() != rectangle.elements() {
            return None;
        }
        let start = usize::try_from(tensor.start).ok()? + 4 * rectangle.start(0);
        // Checked again, because the file may have changed since it was opened.
        let range = start..start + 4 * rectangle.elements();
        let bytes = shared.get(range.clone())?;
        bytemuck::try_cast_slice::<u8, f32>(bytes).ok()?;
        Some(shared.slice(range))
    }

    /// Copies and decodes a part.
    ///
    /// Does not read through the memory map, whose pages would stay in memory in addition to the
    /// copy.
    fn copy(&mut self, tensor: &StoredTensor, part: TensorPart) -> io::Result<Vec<f32>> {
        let mut bytes = Vec::new();
        gathered(tensor.element, part, &tensor.shape, |offset, size, values| {
            let start = tensor.start + offset as u64;
            if *tensor.element == F32 {
                return self.blob.read_at(start, bytemuck::cast_slice_mut(values));
            }
            bytes.resize(size, 0);
            self.blob.read_at(start, &mut bytes)?;
            (tensor.element.decode)(&bytes, values);
            Ok(())
        })
    }
}

/// Values of a part of a tensor of this shape, read piece by piece, without a second copy of the
/// tensor. `fill` gets each piece's offset and size in bytes within the tensor.
pub(crate) fn gathered<E>(
    element: &ElementType,
    part: TensorPart,
    shape: &[usize],
    mut fill: impl FnMut(usize, usize, &mut [f32]) -> Result<(), E>,
) -> Result<Vec<f32>, E> {
    const PIECE: usize = 65_536;
    let rectangle = part.rectangle(shape);
    let (length, size) = (element.block_elements, element.block_bytes);
    let run = rectangle.run().max(1);
    let mut values = vec![0.0; rectangle.elements()];
    for (index, values) in values.chunks_mut(run).enumerate() {
        let first = rectangle.start(index * run / rectangle.columns.max(1));
        assert!(first.is_multiple_of(length) && run.is_multiple_of(length), "whole blocks");
        for (index, values) in values.chunks_mut(PIECE).enumerate() {
            let offset = (first + index * PIECE) / length * size;
            fill(offset, values.len() / length * size, values)?;
        }
    }
    // `fill` may hold a buffer.
    drop(fill);
    Ok(if part.transposed {
        transposed(&values, rectangle.rows, rectangle.columns)
    } else {
        values
    })
}

/// Transposes, in squares that fit the processor's cache.
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
