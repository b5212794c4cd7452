//! Writer of parts of tensors to their locations in a file, as floats of one type.

use std::io::{self, Seek, SeekFrom, Write};

use gpt2_backbone::WeightDtype;

use crate::tensors::rounding::round;
use crate::tensors::tensor_part::{Rectangle, TensorPart};

/// Number of elements to write at once: 1 MiB of 32-bit floats. Small pieces avoid a second copy of
/// a tensor. On Linux larger writes are several times slower, because the system then searches for
/// larger pages.
pub(crate) const PIECE: usize = 262_144;

/// Writes floats to locations in a file.
pub(crate) struct FloatWriter<'a, F> {
    pub(crate) file: &'a mut F,
    pub(crate) dtype: WeightDtype,
}

impl<F: Write + Seek> FloatWriter<'_, F> {
    /// Writes a part of the tensor that begins at `start` and has this shape, row by row.
    pub(crate) fn write_part(
        &mut self,
        start: u64,
        part: TensorPart,
        shape: &[usize],
        values: &[f32],
    ) -> io::Result<()> {
        let rectangle = part.rectangle(shape);
        if !part.transposed {
            return self.write_rows(start, &rectangle, 0, values);
        }
        // A few rows at a time, to avoid a second copy.
        const HEIGHT: usize = 64;
        for top in (0..rectangle.rows).step_by(HEIGHT) {
            let height = HEIGHT.min(rectangle.rows - top);
            let mut rows = vec![0.0; height * rectangle.columns];
            for column in 0..rectangle.columns {
                let values = &values[column * rectangle.rows + top..][..height];
                for (row, value) in values.iter().enumerate() {
                    rows[row * rectangle.columns + column] = *value;
                }
            }
            self.write_rows(start, &rectangle, top, &rows)?;
        }
        Ok(())
    }

    /// Writes a rectangle's rows from `top` on.
    fn write_rows(
        &mut self,
        start: u64,
        rectangle: &Rectangle,
        top: usize,
        values: &[f32],
    ) -> io::Result<()> {
        let run = rectangle.run().max(1);
        for (index, values) in values.chunks(run).enumerate() {
            let row = top + index * run / rectangle.columns.max(1);
            self.write_at(start, rectangle.start(row), values)?;
        }
        Ok(())
    }

    /// Writes values from element `first` on of the tensor that begins at `start`.
    fn write_at(&mut self, start: u64, first: usize, values: &[f32]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(start + (first * self.dtype.size()) as u64))?;
        let mut bits = Vec::new();
        for values in values.chunks(PIECE) {
            if self.dtype == WeightDtype::F32 {
                self.file.write_all(bytemuck::cast_slice(values))?;
            } else {
                bits.resize(values.len(), 0u16);
                round(self.dtype, values, &mut bits);
                self.file.write_all(bytemuck::cast_slice(&bits))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// A tensor written in parts, each of whose elements is its own index.
    fn written(shape: &[usize], parts: &[TensorPart]) -> Vec<f32> {
        let mut file = Cursor::new(Vec::new());
        for part in parts {
            let elements = 0..part.rectangle(shape).elements();
            let values: Vec<_> =
                elements.map(|index| part.index_in_tensor(index, shape) as f32).collect();
            let mut floats = FloatWriter { file: &mut file, dtype: WeightDtype::F32 };
            floats.write_part(8, *part, shape, &values).unwrap();
        }
        bytemuck::pod_collect_to_vec(&file.into_inner()[8..])
    }

    #[test]
    fn parts_make_up_their_tensor() {
        let thirds = [0, 1, 2];
        let columns = thirds.map(TensorPart::columns);
        let rows = thirds.map(TensorPart::rows);
        // More rows than are transposed at once.
        for (shape, parts) in [
            (&[130, 3][..], &[TensorPart::WHOLE][..]),
            (&[130, 3], &[TensorPart::WHOLE.transposed()]),
            (&[4, 6], &columns),
            (&[4, 6], &columns.map(TensorPart::transposed)),
            (&[6], &columns),
            (&[390, 3], &rows),
            (&[390, 3], &rows.map(TensorPart::transposed)),
        ] {
            let count: usize = shape.iter().product();
            let expected: Vec<_> = (0..count).map(|index| index as f32).collect();
            assert_eq!(written(shape, parts), expected, "{shape:?} {parts:?}");
        }
    }
}
