//! Rounding of 32-bit floats to the float types in which weights are saved.

use gpt2_backbone::WeightDtype;
use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
use half::{bf16, f16};

use crate::tensors::search::first_where;

/// Bits of the nearest 16-bit floats: `bfloat16`, or else `float16`.
pub(crate) fn round(dtype: WeightDtype, values: &[f32], bits: &mut [u16]) {
    match dtype {
        WeightDtype::Bf16 => bits.reinterpret_cast_mut::<bf16>().convert_from_f32_slice(values),
        _ => bits.reinterpret_cast_mut::<f16>().convert_from_f32_slice(values),
    }
}

/// Index of the first finite number that becomes infinite in the type.
pub(crate) fn first_overflow(dtype: WeightDtype, values: &[f32]) -> Option<usize> {
    let limit = limit(dtype)?;
    first_where(values, |value| value.is_finite() & (value.abs() >= limit))
}

/// The smallest number that becomes infinite. It is halfway between the largest finite number and
/// the number that would follow, to which ties are rounded because it is even.
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
                round(dtype, &[value], &mut bits);
                match dtype {
                    WeightDtype::Bf16 => bf16::from_bits(bits[0]).is_infinite(),
                    _ => f16::from_bits(bits[0]).is_infinite(),
                }
            };
            assert!(is_infinite(limit) && is_infinite(-limit), "{dtype:?}");
            assert!(!is_infinite(limit.next_down()), "{dtype:?}");
            assert_eq!(first_overflow(dtype, &[1.0, f32::NAN, limit.next_down(), -limit]), Some(3));
        }
        assert_eq!(first_overflow(WeightDtype::F32, &[f32::MAX]), None);
    }
}
