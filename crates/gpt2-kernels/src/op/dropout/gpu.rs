//! Dropout on a GPU.

use burn::backend::TensorMetadata;
use burn::backend::tensor::FloatTensor;
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl::ir::ElemType;
use burn_cubecl::cubecl::{self, prelude::*};
use burn_cubecl::tensor::CubeTensor;

use super::key::DropoutKey;
use super::{DropoutOps, composed};
use crate::gpu::launch::{buffer, contiguous, cube_dim, elem, elementwise, empty};
use crate::gpu::random::dropout_factor;
use crate::gpu::tensors::is_float;

impl DropoutOps for CubeBackend {
    fn fused_dropout(x: FloatTensor<Self>, key: DropoutKey) -> FloatTensor<Self> {
        // Independent of `GPT2_KERNELS`: the dropped numbers are always those of a CPU.
        if is_float(&x) { dropout(x, key) } else { composed::dropout::<Self>(x, key) }
    }
}

#[cube(launch_unchecked)]
fn dropout_kernel<X: Float>(
    x: &[X],
    output: &mut [X],
    key_low: u32,
    key_high: u32,
    threshold: u32,
    factor: f32,
    #[define(X)] _x_type: ElemType,
) {
    if ABSOLUTE_POS >= output.len() {
        terminate!();
    }
    let factor = dropout_factor(ABSOLUTE_POS as u32, key_low, key_high, threshold, factor);
    output[ABSOLUTE_POS] = X::cast_from(f32::cast_from(x[ABSOLUTE_POS]) * factor);
}

fn dropout(x: CubeTensor, key: DropoutKey) -> CubeTensor {
    let x = contiguous(x);
    let output = empty(&x, x.shape(), x.dtype);
    let (threshold, factor) = key.threshold_and_factor();
    // SAFETY: the kernel stops units past the output, which is as long as the input.
    unsafe {
        dropout_kernel::launch_unchecked(
            &x.client,
            elementwise(&x, 1),
            cube_dim(),
            buffer(&x),
            buffer(&output),
            key.key as u32,
            (key.key >> 32) as u32,
            threshold,
            factor,
            elem(&x),
        );
    }
    output
}
