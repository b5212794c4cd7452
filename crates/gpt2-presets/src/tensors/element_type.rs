//! Types in which files store the elements of a tensor.

use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
use half::{bf16, f16};

/// A type of elements, which can be decoded to 32-bit floats.
#[derive(Debug)]
pub(crate) struct ElementType {
    /// Name, as ggml spells it.
    pub(crate) name: &'static str,
    /// Elements of a block, which cannot be divided.
    pub(crate) block_elements: usize,
    /// Bytes of a block.
    pub(crate) block_bytes: usize,
    /// Decodes whole blocks.
    pub(crate) decode: fn(&[u8], &mut [f32]),
}

/// 32-bit floats.
pub(crate) static F32: ElementType = ElementType {
    name: "F32",
    block_elements: 1,
    block_bytes: 4,
    decode: |bytes, out| bytemuck::cast_slice_mut(out).copy_from_slice(bytes),
};

/// float16.
pub(crate) static F16: ElementType = ElementType {
    name: "F16",
    block_elements: 1,
    block_bytes: 2,
    decode: |bytes, out| halves(bytes).reinterpret_cast::<f16>().convert_to_f32_slice(out),
};

/// bfloat16.
pub(crate) static BF16: ElementType = ElementType {
    name: "BF16",
    block_elements: 1,
    block_bytes: 2,
    decode: |bytes, out| halves(bytes).reinterpret_cast::<bf16>().convert_to_f32_slice(out),
};

/// Floats that every container may hold.
pub(crate) static FLOATS: [&ElementType; 3] = [&F32, &F16, &BF16];

/// The floats that every container may hold, for messages.
pub(crate) const FLOAT_NAMES: &str = "float32, float16 or bfloat16";

/// The bits of 16-bit floats, aligned.
fn halves(bytes: &[u8]) -> Vec<u16> {
    bytemuck::pod_collect_to_vec(bytes)
}

impl PartialEq for ElementType {
    /// Names are unique.
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}
