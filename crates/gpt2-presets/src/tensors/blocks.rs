//! Stage 6h: ggml's blocks of quantized floats to 32-bit floats.
//!
//! The sums and products are those of `ggml-quants.c`, in its order, so that the bits are the same.

use half::f16;

/// Elements of a block of Q8_0 and of Q4_0.
pub(crate) const BLOCK: usize = 32;
/// Bytes of a block of Q8_0: the factor, and a signed byte for each element.
pub(crate) const Q8_0_SIZE: usize = 2 + BLOCK;
/// Bytes of a block of Q4_0: the factor, and half a byte for each element.
pub(crate) const Q4_0_SIZE: usize = 2 + BLOCK / 2;

/// Elements of a block of Q6_K.
pub(crate) const LARGE_BLOCK: usize = 256;
/// Bytes of a block of Q6_K: four and two bits for each element, a factor of 8 bits for each 16
/// elements, and a factor for all.
pub(crate) const Q6_K_SIZE: usize = LARGE_BLOCK / 2 + LARGE_BLOCK / 4 + LARGE_BLOCK / 16 + 2;

/// Decodes blocks of Q8_0 (`dequantize_row_q8_0` in `ggml-quants.c`).
pub(crate) fn decode_q8_0(bytes: &[u8], out: &mut [f32]) {
    for (block, out) in bytes.chunks_exact(Q8_0_SIZE).zip(out.chunks_exact_mut(BLOCK)) {
        let (factor, integers) = split(block);
        for (out, integer) in out.iter_mut().zip(integers) {
            *out = f32::from(*integer as i8) * factor;
        }
    }
}

/// Decodes blocks of Q4_0 (`dequantize_row_q4_0` in `ggml-quants.c`): the low halves of the bytes
/// are the first 16 elements, the high ones the last 16.
pub(crate) fn decode_q4_0(bytes: &[u8], out: &mut [f32]) {
    let integer = |half: u8| f32::from(i16::from(half) - 8);
    for (block, out) in bytes.chunks_exact(Q4_0_SIZE).zip(out.chunks_exact_mut(BLOCK)) {
        let (factor, integers) = split(block);
        let (low, high) = out.split_at_mut(BLOCK / 2);
        for ((low, high), byte) in low.iter_mut().zip(high).zip(integers) {
            *low = integer(byte & 0x0f) * factor;
            *high = integer(byte >> 4) * factor;
        }
    }
}

/// The factor of a block, and its integers.
fn split(block: &[u8]) -> (f32, &[u8]) {
    (f16::from_le_bytes([block[0], block[1]]).to_f32(), &block[2..])
}

/// Decodes blocks of Q6_K (`dequantize_row_q6_K` in `ggml-quants.c`). llama.cpp stores a tied token
/// embedding so, whatever type the other tensors of a quantized model have.
///
/// A half of a block is four groups of 32 elements. Group `g` has the low or high halves of 32
/// bytes of `low`, for its lowest four bits, and two bits of each of 32 bytes of `high`.
pub(crate) fn decode_q6_k(bytes: &[u8], out: &mut [f32]) {
    const HALF: usize = LARGE_BLOCK / 2;
    const GROUP: usize = 32;
    for (block, out) in bytes.chunks_exact(Q6_K_SIZE).zip(out.chunks_exact_mut(LARGE_BLOCK)) {
        let (low, rest) = block.split_at(LARGE_BLOCK / 2);
        let (high, rest) = rest.split_at(LARGE_BLOCK / 4);
        let (scales, factor) = rest.split_at(LARGE_BLOCK / 16);
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
