//! Stages 7 and 10, for all formats: the float type in which weights are loaded or written.

use burn::tensor::DType;
use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
use half::{bf16, f16};

use crate::PresetError;
use crate::load::first_where;
use crate::weight_map::{Placement, WeightMap};

/// The float type of loaded, saved or exported weights. Values are rounded to the nearest, ties to
/// even.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WeightDtype {
    /// 32-bit floats, as in the model.
    #[default]
    F32,
    /// float16: numbers up to 65504, with 11 significant bits.
    F16,
    /// bfloat16: nearly all 32-bit floats, with 8 significant bits.
    Bf16,
}

impl WeightDtype {
    /// The name that Keras and the transformers library have for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::F32 => "float32",
            Self::F16 => "float16",
            Self::Bf16 => "bfloat16",
        }
    }

    /// burn's type.
    pub(crate) fn tensor(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::F16 => DType::F16,
            Self::Bf16 => DType::BF16,
        }
    }

    /// Bytes of an element.
    pub(crate) fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }

    /// The safetensors format's type.
    pub(crate) fn safetensors(self) -> safetensors::Dtype {
        match self {
            Self::F32 => safetensors::Dtype::F32,
            Self::F16 => safetensors::Dtype::F16,
            Self::Bf16 => safetensors::Dtype::BF16,
        }
    }

    /// Refuses numbers that this type would make infinite.
    pub(crate) fn check_range(
        self,
        map: &WeightMap,
        placement: &Placement,
        values: &[f32],
    ) -> Result<(), PresetError> {
        let Some(limit) = self.limit() else { return Ok(()) };
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

    /// The smallest number that becomes infinite: halfway from the largest one to the next that the
    /// exponent would allow, which is even.
    fn limit(self) -> Option<f32> {
        match self {
            Self::F32 => None,
            Self::F16 => Some(65_520.0),
            Self::Bf16 => Some(f32::from_bits(0x7f7f_8000)),
        }
    }

    /// The bits of the nearest floats of 16 bits: those of a `bfloat16`, or else of a `float16`.
    pub(crate) fn round(self, values: &[f32], bits: &mut [u16]) {
        match self {
            Self::Bf16 => bits.reinterpret_cast_mut::<bf16>().convert_from_f32_slice(values),
            _ => bits.reinterpret_cast_mut::<f16>().convert_from_f32_slice(values),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_the_first_number_that_becomes_infinite() {
        for dtype in [WeightDtype::F16, WeightDtype::Bf16] {
            let limit = dtype.limit().unwrap();
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
