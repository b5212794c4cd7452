//! The operations by hand, for the CPU.

#![allow(
    clippy::needless_range_loop,
    reason = "loops over rows and vectors that the compiler unrolls index several arrays at once"
)]

mod adam;
mod attention;
mod cross_entropy;
mod dropout;
mod exponentials;
mod flex;
mod gelu;
mod gelu_backward;
mod layer_norm;
mod layer_norm_backward;
mod linear;
mod narrow_dots;
mod narrow_product;
mod product;
mod simd;
#[cfg(test)]
mod tests;
mod threads;
mod training;
#[cfg(test)]
mod training_tests;
mod wide_product;
