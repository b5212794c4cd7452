//! From a device's name to the device.

use burn::tensor::Device;

use crate::BackboneError;

/// Parses `"cpu"`, `"flex"`, `"ndarray"`, `"wgpu"`, `"vulkan:0"`, `"metal"`, `"webgpu"`, `"cuda:0"` or `"auto"`.
///
/// An index counts the devices that the backend finds; without one the backend chooses. `"auto"`
/// is the first of CUDA, Metal, Vulkan, WebGPU and wgpu that is compiled in and finds a device,
/// else the CPU; `"cpu"` is flex, or ndarray where only that is compiled in.
///
/// # Errors
///
/// [`BackboneError::UnknownDevice`], [`BackboneError::DeviceNotCompiled`] with the cargo feature
/// to enable, or [`BackboneError::DeviceNotFound`].
///
/// ```
/// use gpt2_backbone::parse_device;
///
/// assert!(parse_device("cpu").is_ok());
/// assert!(parse_device("abacus").unwrap_err().to_string().contains("abacus"));
/// ```
pub fn parse_device(device: &str) -> Result<Device, BackboneError> {
    let (name, index) = match device.split_once(':') {
        None => (device, None),
        Some((name, index)) => {
            let index = index.parse().map_err(|_| unknown(device))?;
            (name, Some(index))
        }
    };
    match (name, index) {
        ("auto", None) => automatic(device),
        ("cpu", None) => cpu(device),
        ("flex", None) => flex(device),
        ("ndarray", None) => ndarray(device),
        ("wgpu", _) => wgpu(device, index),
        ("vulkan", _) => vulkan(device, index),
        ("metal", _) => metal(device, index),
        ("webgpu", _) => webgpu(device, index),
        ("cuda", _) => cuda(device, index),
        _ => Err(unknown(device)),
    }
}

fn automatic(device: &str) -> Result<Device, BackboneError> {
    [cuda, metal, vulkan, webgpu, wgpu]
        .iter()
        .find_map(|gpu| gpu(device, Some(0)).ok())
        .map_or_else(|| cpu(device), Ok)
}

fn cpu(device: &str) -> Result<Device, BackboneError> {
    flex(device).or_else(|error| ndarray(device).map_err(|_| error))
}

fn flex(device: &str) -> Result<Device, BackboneError> {
    #[cfg(feature = "flex")]
    let found = Ok(Device::flex());
    #[cfg(not(feature = "flex"))]
    let found = Err(());
    found.map_err(|()| not_compiled(device, "flex"))
}

fn ndarray(device: &str) -> Result<Device, BackboneError> {
    #[cfg(feature = "ndarray")]
    #[allow(deprecated, reason = "burn deprecates the backend; users may still ask for it")]
    let found = Ok(Device::ndarray());
    #[cfg(not(feature = "ndarray"))]
    let found = Err(());
    found.map_err(|()| not_compiled(device, "ndarray"))
}

/// One function for each backend that counts its devices.
macro_rules! indexed_backend {
    ($name:ident, $feature:literal, $kind:ident, $default:expr) => {
        fn $name(device: &str, index: Option<usize>) -> Result<Device, BackboneError> {
            #[cfg(feature = $feature)]
            return indexed(device, index, burn::tensor::DeviceType::$kind, || $default);
            #[cfg(not(feature = $feature))]
            {
                let _ = index;
                Err(not_compiled(device, $feature))
            }
        }
    };
}

indexed_backend!(wgpu, "wgpu", Wgpu, Device::wgpu(Default::default()));
indexed_backend!(vulkan, "vulkan", Vulkan, Device::vulkan(Default::default()));
indexed_backend!(metal, "metal", Metal, Device::metal(Default::default()));
indexed_backend!(webgpu, "webgpu", WebGpu, Device::webgpu(Default::default()));
indexed_backend!(cuda, "cuda", Cuda, Device::cuda(burn::tensor::DeviceIndex::Default));

#[cfg(any(
    feature = "wgpu",
    feature = "vulkan",
    feature = "metal",
    feature = "webgpu",
    feature = "cuda"
))]
fn indexed(
    device: &str,
    index: Option<usize>,
    kind: burn::tensor::DeviceType,
    default: impl FnOnce() -> Device,
) -> Result<Device, BackboneError> {
    let devices: Vec<Device> = Device::enumerate(kind).into_iter().collect();
    let found = devices.len();
    if found == 0 {
        return Err(BackboneError::DeviceNotFound { device: device.to_owned(), found });
    }
    match index {
        None => Ok(default()),
        Some(index) => devices
            .into_iter()
            .nth(index)
            .ok_or_else(|| BackboneError::DeviceNotFound { device: device.to_owned(), found }),
    }
}

fn unknown(device: &str) -> BackboneError {
    BackboneError::UnknownDevice { device: device.to_owned() }
}

fn not_compiled(device: &str, feature: &'static str) -> BackboneError {
    BackboneError::DeviceNotCompiled { device: device.to_owned(), feature }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_names_no_device_is_refused() {
        for text in ["", "gpu", "cpu:0", "vulkan:", "vulkan:-1", "cuda:x", "CPU", "auto:1"] {
            assert_eq!(parse_device(text).unwrap_err(), unknown(text));
        }
    }

    #[test]
    #[cfg(not(feature = "cuda"))]
    fn a_missing_backend_names_its_feature() {
        let error = parse_device("cuda:0").unwrap_err();
        assert!(error.to_string().contains("--features cuda"), "{error}");
    }

    #[test]
    #[cfg(feature = "flex")]
    fn cpu_and_auto_exist() {
        assert_eq!(parse_device("cpu").unwrap(), Device::flex());
        parse_device("auto").unwrap();
    }
}
