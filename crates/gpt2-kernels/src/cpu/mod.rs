//! Machinery of the kernels for the CPU.

pub(crate) mod exponentials;
pub(crate) mod product;
pub(crate) mod simd;
pub(crate) mod tensors;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod threads;
