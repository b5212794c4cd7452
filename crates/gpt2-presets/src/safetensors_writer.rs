//! Stage 10e: a model's parameters to a safetensors file.
//!
//! The header follows from the config, so each parameter goes to its place in the file when the
//! model gives it: queries, keys and values into the columns of one tensor, row by row.

use std::collections::HashMap;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

use crate::placed_parameters::{Parameters, each_placed_parameter};
use crate::safetensors_layout::Layout;
use crate::staging::write_error;
use crate::transformers_shards::Tensor;
use crate::transformers_weight_map::TRANSFORMERS;
use crate::weight_map::{Part, Placement};
use crate::{PresetError, WeightDtype};

/// Writes the parameters that these tensors hold as floats of one type. `target` is what errors
/// call the file.
pub(crate) fn write(
    target: &Path,
    file: &mut (impl Write + Seek),
    parameters: &mut dyn Parameters,
    tensors: &[Tensor],
    dtype: WeightDtype,
) -> Result<(), PresetError> {
    let (header, offsets) = layout(tensors, dtype);
    file.write_all(&header).map_err(write_error(target))?;
    let mut floats = FloatWriter { file, dtype };
    each_placed_parameter(
        parameters,
        &TRANSFORMERS,
        |placement| offsets.contains_key(placement.tensor.as_str()),
        |placement, values| {
            dtype.check_range(&TRANSFORMERS, placement, values)?;
            let start = header.len() as u64 + offsets[placement.tensor.as_str()];
            floats.write_part(start, placement, values).map_err(write_error(target))
        },
    )
}

/// The header, and where each tensor begins behind it.
fn layout(tensors: &[Tensor], dtype: WeightDtype) -> (Vec<u8>, HashMap<&str, u64>) {
    // Without it, transformers refuses the file.
    let mut layout = Layout::new(&[("format", "pt".to_owned())]);
    let mut offsets = HashMap::new();
    for Tensor { name, shape } in tensors {
        let file_name = (TRANSFORMERS.file_name)(name);
        offsets.insert(name.as_str(), layout.add(&file_name, dtype.safetensors(), shape));
    }
    (layout.into_bytes(), offsets)
}

/// Writes floats to places in a file.
struct FloatWriter<'a, F> {
    file: &'a mut F,
    dtype: WeightDtype,
}

impl<F: Write + Seek> FloatWriter<'_, F> {
    /// Bytes of an element.
    fn element(&self) -> usize {
        self.dtype.size()
    }

    /// Writes what a parameter is of the tensor that begins at `start`.
    fn write_part(&mut self, start: u64, placement: &Placement, values: &[f32]) -> io::Result<()> {
        match (placement.part, placement.shape.as_slice()) {
            (Part::Third(third), [.., columns]) => {
                let width = (columns / 3).max(1);
                for (row, values) in values.chunks(width).enumerate() {
                    self.write_at(start, (3 * row + third) * width, values)?;
                }
                Ok(())
            }
            (Part::Transposed, &[rows, columns]) => {
                self.write_transposed(start, values, rows, columns)
            }
            _ => self.write_at(start, 0, values),
        }
    }

    /// Writes a tensor of `rows` and `columns` from values that have them exchanged, some rows at a
    /// time: no second copy.
    fn write_transposed(
        &mut self,
        start: u64,
        values: &[f32],
        rows: usize,
        columns: usize,
    ) -> io::Result<()> {
        const HEIGHT: usize = 64;
        for top in (0..rows).step_by(HEIGHT) {
            let height = HEIGHT.min(rows - top);
            let mut block = vec![0.0; height * columns];
            for column in 0..columns {
                let values = &values[column * rows + top..][..height];
                for (row, value) in values.iter().enumerate() {
                    block[row * columns + column] = *value;
                }
            }
            self.write_at(start, top * columns, &block)?;
        }
        Ok(())
    }

    /// Writes values from element `first` of the tensor that begins at `start`.
    fn write_at(&mut self, start: u64, first: usize, values: &[f32]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(start + (first * self.element()) as u64))?;
        if self.dtype == WeightDtype::F32 {
            return self.file.write_all(bytemuck::cast_slice(values));
        }
        // In pieces: no second copy.
        const PIECE: usize = 65_536;
        let mut bits = vec![0u16; values.len().min(PIECE)];
        for values in values.chunks(PIECE) {
            let bits = &mut bits[..values.len()];
            self.dtype.round(values, bits);
            self.file.write_all(bytemuck::cast_slice(bits))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn more_rows_than_a_block_are_transposed() {
        let (rows, columns) = (130, 3);
        let values: Vec<f32> = (0..rows * columns).map(|index| index as f32).collect();
        let mut file = Cursor::new(Vec::new());
        let mut floats = FloatWriter { file: &mut file, dtype: WeightDtype::F32 };
        floats.write_transposed(8, &values, rows, columns).unwrap();
        let written = file.into_inner();
        for row in 0..rows {
            for column in 0..columns {
                let offset = 8 + (row * columns + column) * 4;
                let value = f32::from_le_bytes(written[offset..][..4].try_into().unwrap());
                assert_eq!(value, values[column * rows + row]);
            }
        }
    }
}
