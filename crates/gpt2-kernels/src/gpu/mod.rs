//! Machinery of the kernels for GPUs, which are written once in CubeCL for every graphics interface.
//!
//! All kernels compute in 32-bit floats, whatever type their tensors have: products and sums of
//! 16-bit floats are not rounded in between, and a device that only stores bfloat16 has all of them.

pub(crate) mod launch;
pub(crate) mod random;
pub(crate) mod ranking;
pub(crate) mod reduce;
pub(crate) mod tensors;
