//! Tensors that have kernels.

use burn::backend::DType;
use burn_cubecl::tensor::CubeTensor;

use crate::setting::setting;

/// Whether all tensors have the same float type, and the kernels support it.
pub(crate) fn has_kernel(tensors: &[&CubeTensor]) -> bool {
    let is_one = tensors.windows(2).all(|pair| pair[0].dtype == pair[1].dtype);
    is_one && are_floats(tensors)
}

/// Whether all tensors have float types that the kernels support.
pub(crate) fn are_floats(tensors: &[&CubeTensor]) -> bool {
    setting() != Some("composed") && tensors.iter().all(|tensor| is_float(tensor))
}

/// Whether the kernels support a tensor's float type.
pub(crate) fn is_float(tensor: &CubeTensor) -> bool {
    matches!(tensor.dtype, DType::F32 | DType::F16 | DType::BF16)
}

/// Number of buffers that a kernel may bind on the tensor's device.
pub(crate) fn max_buffers(tensor: &CubeTensor) -> usize {
    tensor.client.properties().hardware.max_bindings as usize
}
