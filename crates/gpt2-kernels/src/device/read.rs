//! Reads of tensors to the host, with the reason if one fails.

use burn::tensor::kind::Basic;
use burn::tensor::{Device, ExecutionError, Tensor, TensorData};

use super::error::DeviceError;
use super::names::hardware_name;
use crate::reading::Reading;

/// Copies a tensor's values to the host.
///
/// A GPU computes asynchronously: a failure since the last read surfaces at this read.
///
/// ```
/// use burn::tensor::{Device, Tensor};
///
/// let tensor = Tensor::<1>::from_data([1.0f32, 2.0], &Device::flex());
/// assert_eq!(gpt2_kernels::read(tensor)?.to_vec::<f32>().unwrap(), [1.0, 2.0]);
/// # Ok::<(), gpt2_kernels::DeviceError>(())
/// ```
///
/// # Errors
///
/// [`DeviceError::OutOfMemory`], [`DeviceError::Lost`] or [`DeviceError::Failed`]. The values are
/// lost, and so are all others that were computed from the same inputs.
pub fn read<const D: usize, K: Basic>(tensor: Tensor<D, K>) -> Result<TensorData, DeviceError>
where
    Tensor<D, K>: 'static,
{
    start_read(tensor).wait()
}

/// Copies a float tensor's values to the host as 32-bit floats, in row-major order.
///
/// # Errors
///
/// As [`read`].
pub fn read_f32<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, DeviceError> {
    let data = read(tensor)?.convert::<f32>();
    Ok(data.try_into_vec().expect("converted to 32-bit floats"))
}

/// Read of a tensor that runs while the program and the device go on.
pub struct PendingRead {
    device: Device,
    reading: Reading,
}

/// Starts to read a tensor. The copy is queued before any work that is submitted later.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use gpt2_kernels::start_read;
///
/// let pending = start_read(Tensor::<1>::from_data([1.0f32, 2.0], &Device::flex()));
/// assert_eq!(pending.wait()?.to_vec::<f32>().unwrap(), [1.0, 2.0]);
/// # Ok::<(), gpt2_kernels::DeviceError>(())
/// ```
pub fn start_read<const D: usize, K: Basic>(tensor: Tensor<D, K>) -> PendingRead
where
    Tensor<D, K>: 'static,
{
    PendingRead { device: tensor.device(), reading: Reading::start(tensor) }
}

impl PendingRead {
    /// Waits for the values.
    ///
    /// # Errors
    ///
    /// As [`read`].
    pub fn wait(self) -> Result<TensorData, DeviceError> {
        self.reading.wait().map_err(|error| describe(&self.device, &error))
    }
}

/// Classifies a failure, of which burn gives only a message. burn flags a lost device only some
/// time after the loss; until then the failed mapping of host memory, which has no other cause,
/// shows it.
fn describe(device: &Device, error: &ExecutionError) -> DeviceError {
    let (device, reason) = (hardware_name(device), cause(error.reason()).to_owned());
    if error.is_device_poisoned() || error.reason().contains("could not be mapped") {
        return DeviceError::Lost { device, reason };
    }
    let lack =
        ["out of device memory", "can't allocate buffer", "Not enough memory", "OutOfMemory"];
    if lack.iter().any(|words| error.reason().contains(words)) {
        return DeviceError::OutOfMemory { device, reason };
    }
    DeviceError::Failed { device, reason }
}

/// The root cause: the line after the last `Caused by:`.
fn cause(reason: &str) -> &str {
    let lines: Vec<&str> = reason.lines().map(str::trim).collect();
    let last = lines.iter().rposition(|line| *line == "Caused by:");
    lines.get(last.map_or(0, |last| last + 1)).copied().unwrap_or(reason)
}

#[cfg(test)]
#[cfg(feature = "flex")]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_device_is_named() {
        let device = Device::flex();
        let full = ExecutionError::with_context(
            "Several failures\nCaused by:\n  An IO error happened\nCaused by:\n  out of device memory allocating 64 bytes\n   0: a::b",
        );
        let found = describe(&device, &full);
        let DeviceError::OutOfMemory { reason, .. } = &found else { panic!("{found:?}") };
        assert_eq!(reason, "out of device memory allocating 64 bytes");
        assert!(found.to_string().contains("smaller batch"), "{found}");

        let lost = describe(&device, &ExecutionError::device_poisoned("DeviceLost: unplugged"));
        assert!(matches!(lost, DeviceError::Lost { .. }), "{lost}");
        let unmapped = ExecutionError::generic("the staging buffer could not be mapped: ...");
        let lost = describe(&device, &unmapped);
        assert!(matches!(lost, DeviceError::Lost { .. }), "{lost}");
        let failed = describe(&device, &ExecutionError::generic("no such kernel"));
        assert!(matches!(failed, DeviceError::Failed { .. }), "{failed}");
    }
}
