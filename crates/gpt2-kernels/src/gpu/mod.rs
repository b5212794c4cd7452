//! Machinery of the kernels for GPUs, which are written once in CubeCL for all graphics interfaces.
//!
//! All kernels compute in 32-bit floats, also for 16-bit tensors: intermediate results are not
//! rounded, and devices that only store bfloat16 have all kernels.

pub(crate) mod launch;
pub(crate) mod random;
pub(crate) mod ranking;
pub(crate) mod reduce;
pub(crate) mod tensors;
