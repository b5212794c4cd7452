//! The operations by hand, for the CPU.

mod attention;
mod flex;
mod gelu;
mod layer_norm;
mod linear;
mod narrow_dots;
mod narrow_product;
mod product;
mod simd;
#[cfg(test)]
mod tests;
mod threads;
mod wide_product;
