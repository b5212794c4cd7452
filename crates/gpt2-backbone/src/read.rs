//! What comes back from a device, or why it does not.

use burn::tensor::kind::Basic;
use burn::tensor::{Device, ExecutionError, Tensor, TensorData};

use crate::BackboneError;

/// The values of a tensor on the host.
///
/// A GPU computes while the program goes on, so whatever has gone wrong there since the last
/// read shows here, and nowhere before.
///
/// ```
/// use burn::tensor::{Device, Tensor};
///
/// let tensor = Tensor::<1>::from_data([1.0f32, 2.0], &Device::flex());
/// assert_eq!(gpt2_backbone::read(tensor)?.to_vec::<f32>().unwrap(), [1.0, 2.0]);
/// # Ok::<(), gpt2_backbone::BackboneError>(())
/// ```
///
/// # Errors
///
/// [`BackboneError::DeviceOutOfMemory`], [`BackboneError::DeviceLost`] or
/// [`BackboneError::DeviceFailed`]: the values are not to be had, nor those of anything that was
/// computed from the same inputs.
pub fn read<const D: usize, K: Basic>(tensor: Tensor<D, K>) -> Result<TensorData, BackboneError> {
    let device = tensor.device();
    tensor.try_into_data().map_err(|error| describe(&device, &error))
}

/// The values of a float tensor on the host as 32-bit floats, in row-major order.
///
/// # Errors
///
/// As [`read`].
pub fn read_f32<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, BackboneError> {
    let data = read(tensor)?.convert::<f32>();
    Ok(data.try_into_vec().expect("converted to 32-bit floats"))
}

/// burn says what happened in words only, except that a device was lost.
fn describe(device: &Device, error: &ExecutionError) -> BackboneError {
    let device = format!("{device:?}");
    // A backtrace may follow, and does not help.
    let lines = error.reason().lines().map(str::trim);
    let lines = lines.take_while(|line| !line.starts_with("Backtrace") && !is_frame(line));
    let reason = lines.collect::<Vec<_>>().join(" ");
    if error.is_device_poisoned() {
        return BackboneError::DeviceLost { device, reason };
    }
    let lack =
        ["out of device memory", "can't allocate buffer", "Not enough memory", "OutOfMemory"];
    if lack.iter().any(|words| reason.contains(words)) {
        return BackboneError::DeviceOutOfMemory { device, reason };
    }
    BackboneError::DeviceFailed { device, reason }
}

/// Whether a line is one of a backtrace, such as `0: core::ops::function`.
fn is_frame(line: &str) -> bool {
    line.split_once(": ").is_some_and(|(number, _)| number.parse::<u32>().is_ok())
}

#[cfg(test)]
#[cfg(feature = "flex")]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_device_is_named() {
        let device = Device::flex();
        let full = ExecutionError::with_context(
            "An IO error happened\nCaused by:\n  out of device memory allocating 64 bytes\n   0: a::b\n   1: c",
        );
        let found = describe(&device, &full);
        let BackboneError::DeviceOutOfMemory { reason, .. } = &found else { panic!("{found:?}") };
        assert!(reason.ends_with("out of device memory allocating 64 bytes"), "{reason}");
        assert!(found.to_string().contains("smaller batch"), "{found}");

        let lost = describe(&device, &ExecutionError::device_poisoned("DeviceLost: unplugged"));
        assert!(matches!(lost, BackboneError::DeviceLost { .. }), "{lost}");
        let failed = describe(&device, &ExecutionError::generic("no such kernel"));
        assert!(matches!(failed, BackboneError::DeviceFailed { .. }), "{failed}");
    }
}
