//! Reading a tensor of a device.

#[cfg(all(feature = "gpu", not(feature = "fusion")))]
mod gpu;
mod values;

use burn::tensor::kind::Basic;
use burn::tensor::{ExecutionError, Tensor, TensorData, read_sync};

use self::values::Values;

/// A tensor's values on their way to the host.
pub struct Reading {
    /// None after they were taken.
    values: Option<Values>,
}

impl Reading {
    /// Starts to read a tensor: the values are those that it has now, whatever the device does next.
    ///
    /// burn's own read on a GPU queues the copy when the values are asked for. It then comes after all
    /// work queued meanwhile, and an error can only be a panic.
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
    /// The device's error, if the values depend on it.
    pub fn wait(mut self) -> Result<TensorData, ExecutionError> {
        read_sync(self.values.take().expect("nobody has waited"))
    }
}

impl Drop for Reading {
    /// Waits: cubecl 0.11.3 reuses a staging buffer that is still mapped if the values are not taken.
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
