//! Copies from a GPU that are queued at once.

use std::future::ready;
use std::task::{Context, Poll, Waker};

use burn::tensor::{ExecutionError, TensorData};
use burn_cubecl::cubecl::server::CopyDescriptor;
use burn_cubecl::kernel::into_contiguous_aligned;
use burn_cubecl::tensor::CubeTensor;

use super::values::Values;

/// Queues the copy of a tensor's values to the host.
pub(super) fn start_read(tensor: CubeTensor) -> Values {
    let tensor = into_contiguous_aligned(tensor);
    let mut values: Values = Box::pin(async move {
        let (shape, dtype) = (tensor.meta.shape().clone(), tensor.dtype);
        let (strides, size) = (tensor.meta.strides().clone(), tensor.elem_size());
        let binding = tensor.handle.clone().binding();
        let descriptor = CopyDescriptor::new(binding, shape.clone(), strides, size);
        let bytes = tensor.client.read_one_tensor_async(descriptor).await;
        let bytes = bytes.map_err(|error| match error.is_device_poisoned() {
            true => ExecutionError::device_poisoned(error.to_string()),
            false => ExecutionError::with_context(error.to_string()),
        })?;
        Ok(TensorData::from_bytes(bytes, shape, dtype))
    });
    // A future does nothing until it is polled; the first poll queues the copy.
    match values.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(data) => Box::pin(ready(data)),
        Poll::Pending => values,
    }
}
