//! Check of weights against a float type's range.

use gpt2_backbone::WeightDtype;

use crate::error::PresetError;
use crate::tensors::rounding::first_overflow;
use crate::weights::weight_map::{Placement, WeightMap};

/// Returns an error for finite numbers that become infinite in the type.
pub(crate) fn check_range(
    dtype: WeightDtype,
    map: &WeightMap,
    placement: &Placement,
    values: &[f32],
) -> Result<(), PresetError> {
    match first_overflow(dtype, values) {
        None => Ok(()),
        Some(index) => Err(PresetError::Overflow {
            tensor: (map.file_name)(&placement.tensor),
            index: placement.part.index_in_tensor(index, &placement.shape),
            value: values[index],
            dtype: dtype.name(),
        }),
    }
}
