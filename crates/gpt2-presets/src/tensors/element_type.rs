//! Element types of tensors in files.

use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
use half::{bf16, f16};

/// An element type, which can be decoded to 32-bit floats.
#[derive(Debug)]
pub(crate) struct ElementType {
    /// Name, as ggml spells it.
    pub(crate) name: &'static str,
    /// Elements of a block, which is decoded as a whole.
    pub(crate) block_elements: usize,
    /// Size of a block in bytes.
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

/// Float types that all containers support.
pub(crate) static FLOATS: [&ElementType; 3] = [&F32, &F16, &BF16];

/// Names of these types, for messages.
pub(crate) const FLOAT_NAMES: &str = "float32, float16 or bfloat16";

/// The bits of 16-bit floats, aligned.
fn halves(bytes: &[u8]) -> Vec<u16> {
    bytemuck::pod_collect_to_vec(bytes)
}

impl PartialEq for ElementType {
    /// Types are equal if their names are, which are unique.
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}
