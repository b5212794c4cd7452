//! Arguments of a kernel launch: cubes, types, sizes and results.

use burn::backend::cubecl::dtype_to_elem_type;
use burn::backend::{DType, TensorMetadata};
use burn::tensor::Shape;
use burn_cubecl::cubecl::calculate_cube_count_elemwise;
use burn_cubecl::cubecl::ir::ElemType;
use burn_cubecl::cubecl::prelude::{BufferArg, CubeCount, CubeDim};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_dtype;
use burn_cubecl::tensor::CubeTensor;

/// Units of a cube, in every kernel: a power of two, and the most that WebGPU guarantees.
pub(crate) const UNITS: usize = 256;

/// Largest number of cubes along an axis that every device allows.
const MAX_CUBES: usize = 65_535;

/// The dimensions of every cube.
pub(crate) fn cube_dim() -> CubeDim {
    CubeDim::new_1d(UNITS as u32)
}

/// At least `count` cubes, numbered by `CUBE_POS`. The kernel returns early in surplus cubes.
pub(crate) fn cubes(count: usize) -> CubeCount {
    let rows = count.div_ceil(MAX_CUBES).max(1);
    CubeCount::Static(count.div_ceil(rows) as u32, rows as u32, 1)
}

/// Cubes of an elementwise kernel: one unit a vector.
pub(crate) fn elementwise(tensor: &CubeTensor, vector_size: usize) -> CubeCount {
    let units = tensor.shape().num_elements() / vector_size;
    calculate_cube_count_elemwise(&tensor.client, units, cube_dim())
}

/// Element type of a tensor in a kernel.
pub(crate) fn elem(tensor: &CubeTensor) -> ElemType {
    dtype_to_elem_type(tensor.dtype)
}

/// Number of elements that are loaded together, a divisor of the rows' width.
pub(crate) fn vector_size(width: usize) -> usize {
    if width.is_multiple_of(4) { 4 } else { 1 }
}

/// Number of elements that are loaded together from a tensor that the kernel sees as flat.
pub(crate) fn flat_vector_size(tensor: &CubeTensor) -> usize {
    vector_size(tensor.shape().num_elements())
}

/// Returns the tensor if it is contiguous, else a contiguous copy.
pub(crate) fn contiguous(tensor: CubeTensor) -> CubeTensor {
    into_contiguous(tensor)
}

/// Uninitialised tensor on the device of `like`.
pub(crate) fn empty(like: &CubeTensor, shape: impl Into<Shape>, dtype: DType) -> CubeTensor {
    empty_device_dtype(like.client.clone(), like.device.clone(), shape.into(), dtype)
}

/// Tensor to write to: the tensor itself if its buffer has no other reference, else a copy.
pub(crate) fn owned(tensor: CubeTensor) -> CubeTensor {
    let tensor = contiguous(tensor);
    if tensor.can_mut() { tensor } else { tensor.copy() }
}

/// A contiguous tensor as a kernel's argument.
pub(crate) fn buffer(tensor: &CubeTensor) -> BufferArg {
    tensor.clone().into_buffer_arg()
}

/// Number of rows and size of the last axis: `(rows, width)`.
pub(crate) fn rows_and_width(tensor: &CubeTensor) -> (usize, usize) {
    let shape = tensor.shape();
    let width = shape[shape.num_dims() - 1];
    (shape.num_elements() / width.max(1), width)
}
