//! The random numbers of [`counted_random`](crate::counted_random), computed in 32-bit halves:
//! shaders have no 64-bit integers.

use burn_cubecl::cubecl::{self, prelude::*};

/// Dropout factor of the number at an index: 0 if the high half of its random number is below the
/// threshold, else `factor`.
#[cube]
pub(crate) fn dropout_factor(
    index: u32,
    key_low: u32,
    key_high: u32,
    threshold: u32,
    factor: f32,
) -> f32 {
    // The state, `key + (index + 1) * 0x9e37_79b9_7f4a_7c15`. An index of 2^32 - 1 does not occur.
    let count = index + 1;
    let step_low = count * 0x7f4a_7c15u32;
    let step_high = count.mul_hi(0x7f4a_7c15u32) + count * 0x9e37_79b9u32;
    let low = key_low + step_low;
    let carry = u32::cast_from(low < key_low);
    let high = key_high + step_high + carry;

    let low_1 = low ^ ((low >> 30u32) | (high << 2u32));
    let high_1 = high ^ (high >> 30u32);
    // Multiplies by `0xbf58_476d_1ce4_e5b9`.
    let low_2 = low_1 * 0x1ce4_e5b9u32;
    let high_2 = low_1.mul_hi(0x1ce4_e5b9u32) + low_1 * 0xbf58_476du32 + high_1 * 0x1ce4_e5b9u32;

    let low_3 = low_2 ^ ((low_2 >> 27u32) | (high_2 << 5u32));
    let high_3 = high_2 ^ (high_2 >> 27u32);
    // Multiplies by `0x94d0_49bb_1331_11eb`; only the upper half of the result is used.
    let high_4 = low_3.mul_hi(0x1331_11ebu32) + low_3 * 0x94d0_49bbu32 + high_3 * 0x1331_11ebu32;
    let number = high_4 ^ (high_4 >> 31u32);
    select(number < threshold, factor, 0.0f32)
}
