//! Bias and epilogue of a product, fused with it or after it.

use burn_cubecl::cubecl::ir::ElemType;
use burn_cubecl::cubecl::{self, prelude::*};
use burn_cubecl::tensor::CubeTensor;

use crate::gpu::launch::{
    buffer, contiguous, cube_dim, elem, elementwise, owned, rows_and_width, vector_size,
};
use crate::op::gelu::gpu::gelu_of;

/// The operation that follows a product and its bias.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum EpilogueKind {
    /// None.
    None,
    /// GPT-2's GELU.
    Gelu,
    /// The sum with a residual.
    Add,
}

/// Applies the epilogue to a sum; its residual is at `place`.
#[cube]
pub(super) fn finished<X: Float, N: Size>(
    sum: Vector<f32, N>,
    residual: &[Vector<X, N>],
    place: usize,
    #[comptime] epilogue: EpilogueKind,
) -> Vector<f32, N> {
    match comptime!(epilogue) {
        EpilogueKind::None => sum,
        EpilogueKind::Gelu => gelu_of(sum),
        EpilogueKind::Add => sum + Vector::cast_from(residual[place]),
    }
}

/// The epilogue of `x + bias`.
#[cube(launch_unchecked)]
fn epilogue_kernel<X: Float, N: Size>(
    x: &mut [Vector<X, N>],
    bias: &[Vector<X, N>],
    residual: &[Vector<X, N>],
    width: usize,
    #[comptime] epilogue: EpilogueKind,
    #[define(X)] _x_type: ElemType,
) {
    if ABSOLUTE_POS >= x.len() {
        terminate!();
    }
    let sum = Vector::<f32, N>::cast_from(x[ABSOLUTE_POS])
        + Vector::cast_from(bias[ABSOLUTE_POS % width]);
    x[ABSOLUTE_POS] = Vector::cast_from(finished(sum, residual, ABSOLUTE_POS, epilogue));
}

/// Adds a bias to a product, `[rows, width]`, and applies the epilogue, in place.
pub(super) fn add_epilogue(
    product: CubeTensor,
    bias: CubeTensor,
    epilogue: EpilogueKind,
    residual: Option<CubeTensor>,
) -> CubeTensor {
    let (product, bias) = (owned(product), contiguous(bias));
    let residual = residual.map_or_else(|| bias.clone(), contiguous);
    let (_, width) = rows_and_width(&product);
    let size = vector_size(width);
    // SAFETY: the kernel stops units past the product. The bias has its width, and the residual,
    // where it is read, its shape.
    unsafe {
        epilogue_kernel::launch_unchecked(
            &product.client,
            elementwise(&product, size),
            cube_dim(),
            size,
            buffer(&product),
            buffer(&bias),
            buffer(&residual),
            width / size,
            epilogue,
            elem(&product),
        );
    }
    product
}
