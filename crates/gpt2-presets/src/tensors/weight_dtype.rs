//! Stages 7 and 10, for all formats: weights as files store them in each float type.

use gpt2_backbone::WeightDtype;
use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
use half::{bf16, f16};

use crate::error::PresetError;
use crate::weights::load::first_where;
use crate::weights::weight_map::{Placement, WeightMap};

/// Storage of weights in the float types of files.
pub(crate) trait StoredFloats: Sized {
    /// Type in the safetensors format.
    fn safetensors(self) -> safetensors::Dtype;

    /// Refuses numbers that this type would make infinite.
    fn check_range(
        self,
        map: &WeightMap,
        placement: &Placement,
        values: &[f32],
    ) -> Result<(), PresetError>;

    /// Bits of the nearest floats of 16 bits: those of a `bfloat16`, or else of a `float16`.
    fn round(self, values: &[f32], bits: &mut [u16]);
}

impl StoredFloats for WeightDtype {
    fn safetensors(self) -> safetensors::Dtype {
        match self {
            Self::F32 => safetensors::Dtype::F32,
            Self::F16 => safetensors::Dtype::F16,
            Self::Bf16 => safetensors::Dtype::BF16,
        }
    }

    fn check_range(
        self,
        map: &WeightMap,
        placement: &Placement,
        values: &[f32],
    ) -> Result<(), PresetError> {
        let Some(limit) = limit(self) else { return Ok(()) };
        match first_where(values, |value| value.is_finite() & (value.abs() >= limit)) {
            None => Ok(()),
            Some(index) => Err(PresetError::Overflow {
                tensor: (map.file_name)(&placement.tensor),
                index: placement.part.index_in_tensor(index, &placement.shape),
                value: values[index],
                dtype: self.name(),
            }),
        }
    }

    fn round(self, values: &[f32], bits: &mut [u16]) {
        match self {
            Self::Bf16 => bits.reinterpret_cast_mut::<bf16>().convert_from_f32_slice(values),
            _ => bits.reinterpret_cast_mut::<f16>().convert_from_f32_slice(values),
        }
    }
}

/// The smallest number that becomes infinite: halfway from the largest one to the next that the
/// exponent would allow, which is even.
fn limit(dtype: WeightDtype) -> Option<f32> {
    match dtype {
        WeightDtype::F32 => None,
        WeightDtype::F16 => Some(65_520.0),
        WeightDtype::Bf16 => Some(f32::from_bits(0x7f7f_8000)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_the_first_number_that_becomes_infinite() {
        for dtype in [WeightDtype::F16, WeightDtype::Bf16] {
            let limit = limit(dtype).unwrap();
            let is_infinite = |value| {
                let mut bits = [0];
                dtype.round(&[value], &mut bits);
                match dtype {
                    WeightDtype::Bf16 => bf16::from_bits(bits[0]).is_infinite(),
                    _ => f16::from_bits(bits[0]).is_infinite(),
                }
            };
            assert!(is_infinite(limit) && is_infinite(-limit), "{dtype:?}");
            assert!(!is_infinite(limit.next_down()), "{dtype:?}");
        }
    }
}
