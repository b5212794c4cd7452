//! Stage 10f: a model's parameters to a safetensors file.
//!
//! The header follows from the config, so each parameter goes to its place in the file when the
//! model gives it: queries, keys and values into the columns of one tensor, row by row.

use std::collections::HashMap;
use std::io::{Seek, Write};
use std::path::Path;

use gpt2_backbone::Gpt2BackboneConfig;

use crate::float_writer::FloatWriter;
use crate::placed_parameters::{Parameters, each_placed_parameter};
use crate::safetensors_layout::Layout;
use crate::staging::write_error;
use crate::transformers_weight_map::TRANSFORMERS;
use crate::weight_map::Placement;
use crate::{ExportDtype, PresetError};

/// Writes all parameters as floats of one type. `target` is what errors call the file.
pub(crate) fn write(
    target: &Path,
    file: &mut (impl Write + Seek),
    parameters: &mut dyn Parameters,
    dtype: ExportDtype,
) -> Result<(), PresetError> {
    let (header, offsets) = layout(parameters.config(), dtype);
    file.write_all(&header).map_err(write_error(target))?;
    let mut floats = FloatWriter { file, dtype };
    each_placed_parameter(
        parameters,
        &TRANSFORMERS,
        |_| true,
        |placement, values| {
            dtype.check_range(&TRANSFORMERS, placement, values)?;
            let start = header.len() as u64 + offsets[&placement.tensor];
            floats.write_part(start, placement, values).map_err(write_error(target))
        },
    )
}

/// The header, and where each tensor begins behind it.
fn layout(config: &Gpt2BackboneConfig, dtype: ExportDtype) -> (Vec<u8>, HashMap<String, u64>) {
    // Without it, transformers refuses the file.
    let mut layout = Layout::new(&[("format", "pt".to_owned())]);
    let mut offsets = HashMap::new();
    for Placement { tensor, shape, .. } in TRANSFORMERS.placements(config) {
        let name = (TRANSFORMERS.file_name)(&tensor);
        // Once, also where several parameters share it.
        offsets.entry(tensor).or_insert_with(|| layout.add(&name, dtype.safetensors(), &shape));
    }
    (layout.into_bytes(), offsets)
}
