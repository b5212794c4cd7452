//! The tensors that the kernels take.

use burn::backend::DType;
use burn_cubecl::tensor::CubeTensor;

use crate::setting::setting;

/// Whether all tensors have the same float type, one of the kernels'.
pub(crate) fn has_kernel(tensors: &[&CubeTensor]) -> bool {
    let is_one = tensors.windows(2).all(|pair| pair[0].dtype == pair[1].dtype);
    is_one && are_floats(tensors)
}

/// Whether all tensors have float types of the kernels.
pub(crate) fn are_floats(tensors: &[&CubeTensor]) -> bool {
    setting() != Some("composed") && tensors.iter().all(|tensor| is_float(tensor))
}

/// Whether a tensor has a float type of the kernels.
pub(crate) fn is_float(tensor: &CubeTensor) -> bool {
    matches!(tensor.dtype, DType::F32 | DType::F16 | DType::BF16)
}

/// Buffers that a kernel may have on the tensor's device.
pub(crate) fn max_buffers(tensor: &CubeTensor) -> usize {
    tensor.client.properties().hardware.max_bindings as usize
}
