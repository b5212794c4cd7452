//! ggml's blocks of quantised floats, a file each, decoded to 32-bit floats.
//!
//! The sums and products are those of `ggml-quants.c`, in its order, so that the bits are the same.
//! A type of blocks is one file, which defines `TYPE`, and one line below. GGUF files name a type by
//! number: `formats/gguf/tensor_type.rs` has all numbers, also those of types that are not read.

use crate::tensors::element_type::ElementType;

/// Declares the files and lists their types.
macro_rules! block_types {
    ($($name:ident,)*) => {
        $(mod $name;)*

        /// The types that are read.
        pub(crate) static BLOCK_TYPES: &[&ElementType] = &[$(&$name::TYPE,)*];
    };
}

block_types! {
    q8_0,
    q4_0,
    q6_k,
}
