//! Reading what is on a device.

use std::pin::Pin;

use burn::tensor::kind::Basic;
use burn::tensor::{ExecutionError, Tensor, TensorData, read_sync};

/// What gives a tensor's values once they are there.
pub(crate) type Values = Pin<Box<dyn Future<Output = Result<TensorData, ExecutionError>> + Send>>;

/// A tensor's values on their way to the host.
pub struct Reading {
    /// None once they are there.
    values: Option<Values>,
}

impl Reading {
    /// Starts to read a tensor: the values are those that it has now, whatever the device does next.
    ///
    /// burn's own way on GPUs puts the copy off until somebody looks at the values, so that the
    /// device does all that it was told meanwhile before it, and an error can only be a panic.
    pub fn start<const D: usize, K: Basic>(tensor: Tensor<D, K>) -> Self
    where
        Tensor<D, K>: 'static,
    {
        Self { values: Some(start(tensor)) }
    }

    /// The values, once they are here.
    ///
    /// # Errors
    ///
    /// Whatever has gone wrong on the device, if the values depend on it.
    pub fn wait(mut self) -> Result<TensorData, ExecutionError> {
        read_sync(self.values.take().expect("nobody has waited"))
    }
}

impl Drop for Reading {
    /// Waits: the memory that a copy goes to is used again, and cubecl 0.11.3 has it still mapped if
    /// nobody takes the values.
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
            return crate::gpu::start_read(tensor);
        }
        Tensor::<D, K>::from_dispatch(dispatch)
    };
    Box::pin(tensor.into_data_async())
}
