//! ggml's blocks of quantised floats, one file each, decoded to 32-bit floats.
//!
//! Sums and products have the order of `ggml-quants.c`, so that results are equal bit for bit. A
//! block type is one file, which defines `TYPE`, and one line below. `formats/gguf/tensor_type.rs`
//! maps the ids in GGUF files to all types, including unsupported ones.

use crate::tensors::element_type::ElementType;

/// Declares the files and lists their types.
macro_rules! block_types {
    ($($name:ident,)*) => {
        $(mod $name;)*

        /// Supported block types.
        pub(crate) static BLOCK_TYPES: &[&ElementType] = &[$(&$name::TYPE,)*];
    };
}

block_types! {
    q8_0,
    q4_0,
    q6_k,
}
