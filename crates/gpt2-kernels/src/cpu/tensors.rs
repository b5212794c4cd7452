//! burn's tensors as slices, and slices as tensors.

use burn::backend::flex::FlexTensor;
use burn::backend::{DType, TensorMetadata};
use burn::tensor::{Shape, TensorData};

use crate::setting::setting;

/// Whether all tensors hold 32-bit floats, the kernels' type.
pub(crate) fn has_kernel(tensors: &[&FlexTensor]) -> bool {
    setting() != Some("composed") && tensors.iter().all(|tensor| tensor.dtype() == DType::F32)
}

/// Returns the tensor if it is contiguous, else a contiguous copy.
pub(crate) fn in_order(tensor: FlexTensor) -> FlexTensor {
    if tensor.is_contiguous() { tensor } else { tensor.to_contiguous() }
}

/// Numbers of a contiguous tensor.
pub(crate) fn slice(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().expect("the numbers are in order")
}

/// A tensor of these numbers.
pub(crate) fn tensor(values: Vec<f32>, shape: impl Into<Shape>) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}

/// Contiguous tensor whose storage holds its own numbers only.
pub(crate) fn whole(tensor: FlexTensor) -> FlexTensor {
    let numbers = tensor.shape().num_elements();
    let is_whole = tensor.is_contiguous() && tensor.storage::<f32>().len() == numbers;
    if is_whole { tensor } else { FlexTensor::from_data(tensor.into_data()) }
}

/// Changes a tensor's numbers, in place if the storage has no other reference.
pub(crate) fn changed(tensor: FlexTensor, change: impl FnOnce(&mut [f32])) -> FlexTensor {
    let mut tensor = whole(tensor);
    change(tensor.storage_mut());
    tensor
}
