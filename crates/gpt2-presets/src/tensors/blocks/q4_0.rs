//! Q4_0: 32 integers of 4 bits with a common scale.

use half::f16;

use crate::tensors::element_type::ElementType;

const ELEMENTS: usize = 32;
/// The scale, and half a byte for each element.
const BYTES: usize = 2 + ELEMENTS / 2;

pub(crate) static TYPE: ElementType =
    ElementType { name: "Q4_0", block_elements: ELEMENTS, block_bytes: BYTES, decode };

/// `dequantize_row_q4_0` in `ggml-quants.c`: the bytes' low halves are the first 16 elements, their
/// high halves the last 16.
fn decode(bytes: &[u8], out: &mut [f32]) {
    let integer = |half: u8| f32::from(i16::from(half) - 8);
    for (block, out) in bytes.chunks_exact(BYTES).zip(out.chunks_exact_mut(ELEMENTS)) {
        let factor = f16::from_le_bytes([block[0], block[1]]).to_f32();
        let (low, high) = out.split_at_mut(ELEMENTS / 2);
        for ((low, high), byte) in low.iter_mut().zip(high).zip(&block[2..]) {
            *low = integer(byte & 0x0f) * factor;
            *high = integer(byte >> 4) * factor;
        }
    }
}
