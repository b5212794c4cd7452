//! Element types of tensors, by their ids in GGUF files.

use gpt2_backbone::WeightDtype;

use crate::tensors::blocks::BLOCK_TYPES;
use crate::tensors::element_type::{ElementType, FLOATS};

/// An element type (`ggml_type`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct TensorType {
    /// Id in the file.
    pub(crate) id: u32,
    /// Name in ggml.
    pub(crate) name: &'static str,
    /// Decoder of the type. None if this crate does not support it.
    pub(crate) element: Option<&'static ElementType>,
    /// Elements of a block. A row has a whole number of blocks.
    block: usize,
    /// Bytes of a block.
    size: usize,
}

/// Id, name, elements and bytes of a block (`GGML_QUANT_SIZES` in gguf-py 0.19 and the llama.cpp
/// vendored in llama-cpp-python 0.3.36).
const TYPES: &[(u32, &str, usize, usize)] = &[
    (0, "F32", 1, 4),
    (1, "F16", 1, 2),
    (2, "Q4_0", 32, 18),
    (3, "Q4_1", 32, 20),
    (6, "Q5_0", 32, 22),
    (7, "Q5_1", 32, 24),
    (8, "Q8_0", 32, 34),
    (9, "Q8_1", 32, 36),
    (10, "Q2_K", 256, 84),
    (11, "Q3_K", 256, 110),
    (12, "Q4_K", 256, 144),
    (13, "Q5_K", 256, 176),
    (14, "Q6_K", 256, 210),
    (15, "Q8_K", 256, 292),
    (16, "IQ2_XXS", 256, 66),
    (17, "IQ2_XS", 256, 74),
    (18, "IQ3_XXS", 256, 98),
    (19, "IQ1_S", 256, 50),
    (20, "IQ4_NL", 32, 18),
    (21, "IQ3_S", 256, 110),
    (22, "IQ2_S", 256, 82),
    (23, "IQ4_XS", 256, 136),
    (24, "I8", 1, 1),
    (25, "I16", 1, 2),
    (26, "I32", 1, 4),
    (27, "I64", 1, 8),
    (28, "F64", 1, 8),
    (29, "IQ1_M", 256, 56),
    (30, "BF16", 1, 2),
    (34, "TQ1_0", 256, 54),
    (35, "TQ2_0", 256, 66),
    (39, "MXFP4", 32, 17),
    (40, "NVFP4", 64, 36),
    (41, "Q1_0", 128, 18),
    (42, "Q2_0", 64, 18),
];

/// Names of the supported types.
pub(crate) fn read_types() -> Vec<&'static str> {
    FLOATS.iter().chain(BLOCK_TYPES).map(|element| element.name).collect()
}

impl TensorType {
    /// The type with this id.
    pub(crate) fn from_id(id: u32) -> Option<Self> {
        let (id, name, block, size) = TYPES.iter().find(|row| row.0 == id).copied()?;
        let mut read = FLOATS.iter().chain(BLOCK_TYPES);
        let element = read.find(|element| element.name == name).copied();
        Some(Self { id, name, element, block, size })
    }

    /// The type of weights with this float type.
    pub(crate) fn of(dtype: WeightDtype) -> Self {
        let id = match dtype {
            WeightDtype::F32 => 0,
            WeightDtype::F16 => 1,
            WeightDtype::Bf16 => 30,
        };
        Self::from_id(id).expect("the table has it")
    }

    /// Size of a tensor in bytes. None if blocks do not fill its rows, or if it overflows.
    pub(crate) fn bytes(self, shape: &[usize]) -> Option<u64> {
        let columns = shape.last().copied().unwrap_or(1);
        if columns % self.block != 0 {
            return None;
        }
        let elements = shape.iter().try_fold(1usize, |product, dim| product.checked_mul(*dim))?;
        u64::try_from((elements / self.block).checked_mul(self.size)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensors::element_type::{BF16, F16, F32};

    #[test]
    fn types_that_are_read_have_the_sizes_of_their_decoders() {
        let all = TYPES.iter().filter_map(|row| TensorType::from_id(row.0));
        let read: Vec<_> = all.filter_map(|one| Some((one, one.element?))).collect();
        // Each supported type is one of ggml's, with ggml's name.
        assert_eq!(read.len(), FLOATS.len() + BLOCK_TYPES.len());
        for (one, element) in read {
            let sizes = (element.block_elements, element.block_bytes);
            assert_eq!((one.block, one.size), sizes, "{}", one.name);
            let mut out = vec![f32::NAN; one.block];
            (element.decode)(&vec![0; one.size], &mut out);
            assert_eq!(out, vec![0.0; one.block], "{}: a block is decoded whole", one.name);
        }
        for (dtype, element) in
            [(WeightDtype::F32, &F32), (WeightDtype::F16, &F16), (WeightDtype::Bf16, &BF16)]
        {
            assert_eq!(TensorType::of(dtype).element, Some(element));
        }
    }

    #[test]
    fn sizes_are_whole_blocks_and_do_not_overflow() {
        let bytes = |id, shape: &[usize]| TensorType::from_id(id).unwrap().bytes(shape);
        assert_eq!(bytes(8, &[3, 64]), Some(3 * 2 * 34));
        assert_eq!(bytes(8, &[64, 3]), None);
        assert_eq!(bytes(0, &[]), Some(4));
        assert_eq!(bytes(0, &[1 << 40, 1 << 40]), None);
        assert_eq!(bytes(0, &[1 << 62]), None);
        assert_eq!(bytes(0, &[0, 7]), Some(0));
    }
}
