//! Kernels for the CPU.
mod narrow_dots;
mod narrow_product;
mod simd;
mod threads;
impl crate::kernels::Kernels for burn::backend::Flex {}
