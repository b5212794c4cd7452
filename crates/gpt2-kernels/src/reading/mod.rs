//! Reads of tensors from their device.

#[cfg(all(feature = "gpu", not(feature = "fusion")))]
mod gpu;
mod values;

use burn::tensor::kind::Basic;
use burn::tensor::{ExecutionError, Tensor, TensorData, read_sync};

use self::values::Values;

/// Read of a tensor that is under way.
pub struct Reading {
    /// None after the values were taken.
    values: Option<Values>,
}

impl Reading {
    /// Starts to read a tensor's present values; later work on the device does not change them.
    ///
    /// burn's own read on a GPU queues the copy only when the values are awaited, after all work
    /// queued meanwhile, and an error can only be a panic.
    pub fn start<const D: usize, K: Basic>(tensor: Tensor<D, K>) -> Self
    where
        Tensor<D, K>: 'static,
    {
        Self { values: Some(start(tensor)) }
    }

    /// Waits for the values.
    ///
    /// # Errors
    ///
    /// The device's error, if the values depend on the work that failed.
    pub fn wait(mut self) -> Result<TensorData, ExecutionError> {
        read_sync(self.values.take().expect("the values are taken once"))
    }
}

impl Drop for Reading {
    /// Waits for the values: cubecl 0.11.3 reuses a staging buffer that is still mapped.
    fn drop(&mut self) {
        if let Some(values) = self.values.take() {
            let _ = read_sync(values);
        }
    }
}

fn start<const D: usize, K: Basic>(tensor: Tensor<D, K>) -> Values
where
    Tensor<D, K>: 'static,
{
    #[cfg(all(feature = "gpu", not(feature = "fusion")))]
    let tensor = {
        use burn::backend::{BackendTensor, DispatchTensorKind};

        let dispatch = tensor.into_dispatch();
        if let DispatchTensorKind::Cube(
            BackendTensor::Float(tensor) | BackendTensor::Int(tensor) | BackendTensor::Bool(tensor),
        ) = dispatch.kind
        {
            return gpu::start_read(tensor);
        }
        Tensor::<D, K>::from_dispatch(dispatch)
    };
    Box::pin(tensor.into_data_async())
}
