//! Devices by their names.

use burn::tensor::{DType, Device, DeviceType, FloatDType};

use super::error::DeviceError;
#[cfg(feature = "wgpu")]
use super::wgpu::{is_software, open, speed_rank};

/// Names of the backends in the order in which `"auto"` tries them: those for GPUs, then those for
/// CPUs.
pub const BACKENDS: [&str; 7] = ["cuda", "metal", "vulkan", "webgpu", "wgpu", "flex", "ndarray"];

/// Number of GPU backends, the first of [`BACKENDS`].
const GPU_BACKENDS: usize = 5;

/// The float types that a device may compute in.
const FLOAT_TYPES: [FloatDType; 3] = [FloatDType::F32, FloatDType::F16, FloatDType::BF16];

/// A device of this machine that this build can use.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeviceInfo {
    /// Name for [`parse_device`], such as `"vulkan:0"`.
    pub name: String,
    /// Name of the hardware, as the driver gives it.
    pub hardware: String,
    /// Dedicated memory in bytes, if the driver reports it.
    pub memory: Option<u64>,
    /// Largest tensor in bytes, if the device has a limit.
    pub largest_tensor: Option<u64>,
    /// Float types in which the device computes.
    pub float_types: Vec<FloatDType>,
    /// Whether the device is a GPU driver that runs on the CPU. Such a device is for tests: it is
    /// slower than the CPU backends.
    pub is_software: bool,
}

/// Parses `"cpu"`, `"flex"`, `"ndarray"`, `"wgpu"`, `"vulkan:0"`, `"metal"`, `"webgpu"`, `"cuda:0"` or `"auto"`.
///
/// An index counts the backend's devices in the order of [`devices`]: discrete GPUs, integrated
/// ones, then the others. Default: 0. `"auto"` is the first hardware GPU that opens, with the
/// backends tried in the order of [`BACKENDS`], else the CPU. `"cpu"` is flex, or ndarray if flex
/// is not compiled in.
///
/// Opens the device, so that driver failures surface here.
///
/// # Errors
///
/// [`DeviceError::Unknown`], [`DeviceError::NotCompiled`] with the cargo feature
/// to enable, [`DeviceError::NotFound`], or [`DeviceError::Unavailable`].
///
/// ```
/// use gpt2_kernels::parse_device;
///
/// assert!(parse_device("cpu").is_ok());
/// assert!(parse_device("abacus").unwrap_err().to_string().contains("abacus"));
/// ```
pub fn parse_device(device: &str) -> Result<Device, DeviceError> {
    let (name, index) = match device.split_once(':') {
        None => (device, None),
        Some((name, index)) => {
            let index = index.parse().map_err(|_| unknown(device))?;
            (name, Some(index))
        }
    };
    let cpus = &BACKENDS[GPU_BACKENDS..];
    match (name, index) {
        ("auto", None) => automatic().map_or_else(|| parse_device("cpu"), Ok),
        ("cpu", None) => {
            let compiled = cpus.iter().find(|backend| is_compiled(backend));
            find(device, compiled.unwrap_or(&cpus[0]), 0)
        }
        (backend, None) if cpus.contains(&backend) => find(device, backend, 0),
        (backend, index) if BACKENDS[..GPU_BACKENDS].contains(&backend) => {
            find(device, backend, index.unwrap_or(0))
        }
        _ => Err(unknown(device)),
    }
}

/// Lists the devices of this machine, each under every compiled backend that finds it.
///
/// Opens each device; a failure is listed as [`DeviceError::Unavailable`].
pub fn devices() -> Vec<Result<DeviceInfo, DeviceError>> {
    let mut found = Vec::new();
    for (rank, backend) in BACKENDS.into_iter().enumerate() {
        for (index, device) in devices_of(backend).unwrap_or_default().into_iter().enumerate() {
            let is_gpu = rank < GPU_BACKENDS;
            let name = if is_gpu { format!("{backend}:{index}") } else { backend.to_owned() };
            let opened = open(&name, &device);
            found.push(opened.map(|()| describe(name, &device)));
        }
    }
    found
}

/// Whether a backend of [`BACKENDS`] is compiled in.
pub fn is_compiled(backend: &str) -> bool {
    kind_of(backend).is_some()
}

/// Returns an error if the device does not compute in this float type.
///
/// # Errors
///
/// [`DeviceError::UnsupportedFloatType`].
pub fn check_float_type(device: &Device, dtype: DType) -> Result<(), DeviceError> {
    if device.supports_dtype(dtype) {
        return Ok(());
    }
    Err(DeviceError::UnsupportedFloatType {
        device: hardware_name(device),
        dtype: format!("{dtype:?}"),
    })
}

/// The first hardware GPU that opens, if any.
fn automatic() -> Option<Device> {
    BACKENDS[..GPU_BACKENDS].iter().find_map(|backend| {
        let mut devices = devices_of(backend)?.into_iter();
        devices.find(|device| !is_software(device) && open(backend, device).is_ok())
    })
}

fn find(device: &str, backend: &str, index: usize) -> Result<Device, DeviceError> {
    let Some(devices) = devices_of(backend) else {
        let feature = BACKENDS.into_iter().find(|name| *name == backend).unwrap_or("flex");
        return Err(DeviceError::NotCompiled { device: device.to_owned(), feature });
    };
    let count = devices.len();
    let Some(found) = devices.into_iter().nth(index) else {
        return Err(DeviceError::NotFound { device: device.to_owned(), found: count });
    };
    open(device, &found)?;
    Ok(found)
}

/// Devices that a backend finds, the fastest kind first. None if the backend is not compiled in.
fn devices_of(backend: &str) -> Option<Vec<Device>> {
    let mut devices: Vec<Device> = Device::enumerate(kind_of(backend)?).into_iter().collect();
    devices.sort_by_key(speed_rank);
    Some(devices)
}

/// burn's identifier of a backend, if the backend is compiled in.
fn kind_of(backend: &str) -> Option<DeviceType> {
    match backend {
        #[cfg(feature = "cuda")]
        "cuda" => Some(DeviceType::Cuda),
        #[cfg(feature = "metal")]
        "metal" => Some(DeviceType::Metal),
        #[cfg(feature = "vulkan")]
        "vulkan" => Some(DeviceType::Vulkan),
        #[cfg(feature = "webgpu")]
        "webgpu" => Some(DeviceType::WebGpu),
        #[cfg(feature = "wgpu")]
        "wgpu" => Some(DeviceType::Wgpu),
        #[cfg(feature = "flex")]
        "flex" => Some(DeviceType::Flex),
        #[cfg(feature = "ndarray")]
        "ndarray" => Some(DeviceType::NdArray),
        _ => None,
    }
}

#[cfg(not(feature = "wgpu"))]
fn speed_rank(_device: &Device) -> u8 {
    0
}

#[cfg(not(feature = "wgpu"))]
fn is_software(_device: &Device) -> bool {
    false
}

#[cfg(not(feature = "wgpu"))]
fn open(_name: &str, _device: &Device) -> Result<(), DeviceError> {
    Ok(())
}

fn describe(name: String, device: &Device) -> DeviceInfo {
    let supported = FLOAT_TYPES.into_iter().filter(|dtype| device.supports_dtype(*dtype));
    let (hardware, memory, largest_tensor) = hardware(device);
    DeviceInfo {
        name,
        hardware,
        memory,
        largest_tensor,
        float_types: supported.collect(),
        is_software: is_software(device),
    }
}

/// Name that the driver gives a device.
pub(super) fn hardware_name(device: &Device) -> String {
    hardware(device).0
}

/// Name of a device's hardware, its memory in bytes, and its largest tensor in bytes.
fn hardware(device: &Device) -> (String, Option<u64>, Option<u64>) {
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    if let burn::backend::DispatchDevice::Cube(device) = device.as_dispatch() {
        let client = device.client();
        let (memory, name) = (&client.properties().memory, &client.properties().identity.name);
        return (name.clone(), memory.max_memory(), Some(memory.max_page_size));
    }
    let _ = device;
    ("CPU".to_owned(), None, None)
}

fn unknown(device: &str) -> DeviceError {
    DeviceError::Unknown { device: device.to_owned() }
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

    #[test]
    #[cfg(feature = "flex")]
    fn every_device_listed_is_found_by_its_name() {
        let devices = devices();
        assert!(devices.iter().flatten().any(|device| device.name == "flex"), "{devices:?}");
        for device in devices {
            match device {
                Ok(DeviceInfo { name, float_types, .. }) => {
                    parse_device(&name).unwrap();
                    assert!(float_types.contains(&FloatDType::F32), "{name}");
                }
                Err(error) => {
                    let DeviceError::Unavailable { device, .. } = &error else { panic!("{error}") };
                    // The error is the same each time the device is parsed.
                    assert_eq!(parse_device(device).unwrap_err(), error);
                }
            }
        }
    }

    #[test]
    #[cfg(feature = "vulkan")]
    fn an_index_beyond_the_devices_is_refused() {
        let error = parse_device("vulkan:77").unwrap_err();
        assert!(matches!(error, DeviceError::NotFound { .. }), "{error}");
    }
}
