//! burn's tensors as slices of numbers, and back.

use burn::backend::flex::FlexTensor;
use burn::backend::{DType, TensorMetadata};
use burn::tensor::{Shape, TensorData};

use crate::setting::setting;

/// Whether all tensors are of 32-bit floats, the type of the kernels.
pub(crate) fn has_kernel(tensors: &[&FlexTensor]) -> bool {
    setting() != Some("composed") && tensors.iter().all(|tensor| tensor.dtype() == DType::F32)
}

/// The tensor itself if its numbers lie in order, or a copy that does.
pub(crate) fn in_order(tensor: FlexTensor) -> FlexTensor {
    if tensor.is_contiguous() { tensor } else { tensor.to_contiguous() }
}

/// The numbers of a tensor that is in order.
pub(crate) fn slice(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().expect("the numbers are in order")
}

/// A tensor of these numbers.
pub(crate) fn tensor(values: Vec<f32>, shape: impl Into<Shape>) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}

/// A tensor whose storage holds its numbers in order and nothing else.
pub(crate) fn whole(tensor: FlexTensor) -> FlexTensor {
    let numbers = tensor.shape().num_elements();
    let is_whole = tensor.is_contiguous() && tensor.storage::<f32>().len() == numbers;
    if is_whole { tensor } else { FlexTensor::from_data(tensor.into_data()) }
}

/// The tensor after a change of its numbers: in place if nothing else refers to them.
pub(crate) fn changed(tensor: FlexTensor, change: impl FnOnce(&mut [f32])) -> FlexTensor {
    let mut tensor = whole(tensor);
    change(tensor.storage_mut());
    tensor
}
