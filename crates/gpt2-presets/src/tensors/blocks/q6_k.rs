//! Q6_K: 256 integers of 6 bits, an 8-bit scale for each 16 of them, and a common scale.
//!
//! llama.cpp stores a tied token embedding in this type, whatever the other types of a quantised
//! model are.

use half::f16;

use crate::tensors::element_type::ElementType;

const ELEMENTS: usize = 256;
/// Four and two bits for each element, the scales of 16 elements, and the common scale.
const BYTES: usize = ELEMENTS / 2 + ELEMENTS / 4 + ELEMENTS / 16 + 2;

pub(crate) static TYPE: ElementType =
    ElementType { name: "Q6_K", block_elements: ELEMENTS, block_bytes: BYTES, decode };

/// `dequantize_row_q6_K` in `ggml-quants.c`.
///
/// Half a block is four groups of 32 elements. The lowest four bits of group `g` are the low or
/// high halves of 32 bytes of `low`; two more bits come from each of 32 bytes of `high`.
fn decode(bytes: &[u8], out: &mut [f32]) {
    const HALF: usize = ELEMENTS / 2;
    const GROUP: usize = 32;
    for (block, out) in bytes.chunks_exact(BYTES).zip(out.chunks_exact_mut(ELEMENTS)) {
        let (low, rest) = block.split_at(ELEMENTS / 2);
        let (high, rest) = rest.split_at(ELEMENTS / 4);
        let (scales, factor) = rest.split_at(ELEMENTS / 16);
        let factor = f16::from_le_bytes([factor[0], factor[1]]).to_f32();
        for (index, out) in out.iter_mut().enumerate() {
            let (half, group, place) = (index / HALF, index % HALF / GROUP, index % GROUP);
            let low = low[half * HALF / 2 + group % 2 * GROUP + place] >> (group / 2 * 4) & 0x0f;
            let high = high[half * GROUP + place] >> (group * 2) & 0x03;
            let integer = i16::from(high << 4 | low) - 32;
            let scale = scales[index / 16] as i8;
            *out = factor * f32::from(scale) * f32::from(integer);
        }
    }
}
