//! Q8_0: 32 integers of 8 bits with a common scale.

use half::f16;

use crate::tensors::element_type::ElementType;

const ELEMENTS: usize = 32;
/// The scale, and a signed byte for each element.
const BYTES: usize = 2 + ELEMENTS;

pub(crate) static TYPE: ElementType =
    ElementType { name: "Q8_0", block_elements: ELEMENTS, block_bytes: BYTES, decode };

/// `dequantize_row_q8_0` in `ggml-quants.c`.
fn decode(bytes: &[u8], out: &mut [f32]) {
    for (block, out) in bytes.chunks_exact(BYTES).zip(out.chunks_exact_mut(ELEMENTS)) {
        let factor = f16::from_le_bytes([block[0], block[1]]).to_f32();
        for (out, integer) in out.iter_mut().zip(&block[2..]) {
            *out = f32::from(*integer as i8) * factor;
        }
    }
}
