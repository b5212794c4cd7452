//! Stage 10d: a model's parameters to a safetensors file.
//!
//! The header follows from the config, so each parameter goes to its place in the file when the
//! model gives it: queries, keys and values into the columns of one tensor, row by row.

use std::collections::HashMap;
use std::io::{self, Seek, SeekFrom, Write};

use gpt2_backbone::{Gpt2Backbone, Gpt2BackboneConfig};
use safetensors::Dtype;
use safetensors::tensor::TensorInfo;
use serde_json::{Map, Value, json};

use crate::placed_parameters::each_placed_parameter;
use crate::safetensors_header::PREFIX;
use crate::transformers_weight_map::TRANSFORMERS;
use crate::weight_map::{Part, Placement};

/// Bytes of an element.
const ELEMENT: usize = size_of::<f32>();

/// Writes all parameters as 32-bit floats.
pub(crate) fn write(file: &mut (impl Write + Seek), backbone: &Gpt2Backbone) -> io::Result<()> {
    let (header, offsets) = layout(backbone.config());
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(header.as_bytes())?;
    let data_start = PREFIX + header.len() as u64;
    each_placed_parameter(backbone, &TRANSFORMERS, |placement, values| {
        write_part(file, data_start + offsets[&placement.tensor], placement, values)
    })
}

/// The header, and where each tensor begins behind it.
fn layout(config: &Gpt2BackboneConfig) -> (String, HashMap<String, u64>) {
    // Without it, transformers refuses the file.
    let mut header = Map::from_iter([("__metadata__".to_owned(), json!({"format": "pt"}))]);
    let mut offsets = HashMap::new();
    let mut end = 0;
    for Placement { tensor, shape, .. } in TRANSFORMERS.placements(config) {
        if offsets.contains_key(&tensor) {
            continue;
        }
        let start = end;
        end += shape.iter().product::<usize>() * ELEMENT;
        let info = TensorInfo { dtype: Dtype::F32, shape, data_offsets: (start, end) };
        header.insert((TRANSFORMERS.file_name)(&tensor), json!(info));
        offsets.insert(tensor, start as u64);
    }
    let header = Value::Object(header).to_string();
    // Padded, so that the tensors are aligned for a reader that maps the file.
    let length = header.len().next_multiple_of(8);
    (format!("{header:length$}"), offsets)
}

/// Writes what a parameter is of the tensor that begins at `start`.
fn write_part(
    file: &mut (impl Write + Seek),
    start: u64,
    placement: &Placement,
    values: &[f32],
) -> io::Result<()> {
    match (placement.part, placement.shape.as_slice()) {
        (Part::Third(third), [.., columns]) => {
            let width = (columns / 3).max(1);
            for (row, values) in values.chunks(width).enumerate() {
                let offset = (3 * row + third) * width * ELEMENT;
                write_at(file, start + offset as u64, values)?;
            }
            Ok(())
        }
        (Part::Transposed, &[rows, columns]) => {
            write_transposed(file, start, values, rows, columns)
        }
        _ => write_at(file, start, values),
    }
}

/// Writes a tensor of `rows` and `columns` from values that have them exchanged, some rows at a
/// time: no second copy.
fn write_transposed(
    file: &mut (impl Write + Seek),
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
        write_at(file, start + (top * columns * ELEMENT) as u64, &block)?;
    }
    Ok(())
}

fn write_at(file: &mut (impl Write + Seek), offset: u64, values: &[f32]) -> io::Result<()> {
    file.seek(SeekFrom::Start(offset))?;
    file.write_all(bytemuck::cast_slice(values))
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
        write_transposed(&mut file, 8, &values, rows, columns).unwrap();
        let written = file.into_inner();
        for row in 0..rows {
            for column in 0..columns {
                let offset = 8 + (row * columns + column) * ELEMENT;
                let value = f32::from_le_bytes(written[offset..][..ELEMENT].try_into().unwrap());
                assert_eq!(value, values[column * rows + row]);
            }
        }
    }
}
