//! Types of a tensor's elements.

use crate::tensors::float_reader::Element;
use gpt2_backbone::WeightDtype;

/// A type of elements (`ggml_type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TensorType {
    /// Its number in the file.
    pub(crate) id: u32,
    /// Its name in ggml.
    pub(crate) name: &'static str,
    /// Elements of a block, which divides the rows.
    block: usize,
    /// Bytes of a block.
    size: usize,
}

/// Number, name, elements and bytes of a block (`GGML_QUANT_SIZES` in gguf-py 0.19 and the vendored
/// llama.cpp of llama-cpp-python 0.3.36).
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

impl TensorType {
    /// The type with a number.
    pub(crate) fn from_id(id: u32) -> Option<Self> {
        let (id, name, block, size) = TYPES.iter().find(|row| row.0 == id).copied()?;
        Some(Self { id, name, block, size })
    }

    /// The type of what is written.
    pub(crate) fn of(dtype: WeightDtype) -> u32 {
        match dtype {
            WeightDtype::F32 => 0,
            WeightDtype::F16 => 1,
            WeightDtype::Bf16 => 30,
        }
    }

    /// What this crate reads; none for all other types.
    pub(crate) fn element(self) -> Option<Element> {
        Some(match self.name {
            "F32" => Element::F32,
            "F16" => Element::F16,
            "BF16" => Element::Bf16,
            "Q8_0" => Element::Q8_0,
            "Q4_0" => Element::Q4_0,
            "Q6_K" => Element::Q6K,
            _ => return None,
        })
    }

    /// Bytes of a tensor of this shape; none if blocks do not fill its rows, or for too many.
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

    #[test]
    fn types_that_are_read_have_the_sizes_of_their_decoders() {
        let read = TYPES.iter().filter_map(|row| TensorType::from_id(row.0));
        let read: Vec<_> = read.filter(|one| one.element().is_some()).collect();
        assert_eq!(read.len(), 6);
        for one in read {
            assert_eq!((one.block, one.size), one.element().unwrap().block(), "{}", one.name);
        }
        for (dtype, element) in [
            (WeightDtype::F32, Element::F32),
            (WeightDtype::F16, Element::F16),
            (WeightDtype::Bf16, Element::Bf16),
        ] {
            let written = TensorType::from_id(TensorType::of(dtype)).unwrap();
            assert_eq!(written.element(), Some(element));
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
