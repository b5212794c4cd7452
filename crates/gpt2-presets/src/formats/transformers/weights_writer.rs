//! Writer of a model's parameters to a safetensors file.
//!
//! The header follows from the config. Each parameter is written to its location as soon as the
//! model supplies it: queries, keys and values to the columns of one tensor, row by row.

use std::collections::HashMap;
use std::io::{Seek, Write};
use std::path::Path;

use gpt2_backbone::WeightDtype;
use gpt2_files::write_error;

use crate::error::PresetError;
use crate::formats::transformers::shards::Tensor;
use crate::formats::transformers::weight_map::TRANSFORMERS;
use crate::tensors::float_writer::FloatWriter;
use crate::tensors::safetensors::layout::{Layout, float_type};
use crate::weights::overflow::check_range;
use crate::weights::placed_parameters::{Parameters, each_placed_parameter};
use crate::weights::weight_map::Placement;

/// Writes the parameters of these tensors as floats of one type. `target` is the file's name in
/// errors.
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
            check_range(dtype, &TRANSFORMERS, placement, values)?;
            let start = header.len() as u64 + offsets[placement.tensor.as_str()];
            let Placement { part, shape, .. } = placement;
            Ok(floats.write_part(start, *part, shape, values).map_err(write_error(target))?)
        },
    )
}

/// Header, and each tensor's offset after it.
fn layout(tensors: &[Tensor], dtype: WeightDtype) -> (Vec<u8>, HashMap<&str, u64>) {
    // transformers rejects a file without this entry.
    let mut layout = Layout::new(&[("format", "pt".to_owned())]);
    let mut offsets = HashMap::new();
    for Tensor { name, shape } in tensors {
        let file_name = (TRANSFORMERS.file_name)(name);
        offsets.insert(name.as_str(), layout.add(&file_name, float_type(dtype), shape));
    }
    (layout.into_bytes(), offsets)
}
