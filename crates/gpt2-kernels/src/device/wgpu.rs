//! wgpu's devices: their order and how they are opened.

use std::sync::{Mutex, PoisonError};

use burn::backend::{CubeDevice, DispatchDevice, WgpuDevice, WgpuDeviceKind};
use burn::tensor::wgpu::WgpuInitError;
use burn::tensor::{Device, DeviceKind};

use super::error::DeviceError;
use crate::shaders::has_valid_shaders;

/// Reason for refusing a device on which burn's Vulkan shaders would crash.
const NO_SHADERS: &str = "its driver lacks the extension VK_KHR_workgroup_memory_explicit_layout, \
    without which burn 0.22.1 writes invalid shaders for Vulkan; build with `--features wgpu` and \
    without `vulkan`";

/// Devices that were refused for lack of the extension. burn opens a device once, so the result is
/// kept.
static WITHOUT_SHADERS: Mutex<Vec<WgpuDevice>> = Mutex::new(Vec::new());

fn wgpu_device(device: &Device) -> Option<&WgpuDevice> {
    match device.as_dispatch() {
        DispatchDevice::Cube(CubeDevice::Wgpu(device)) => Some(device),
        _ => None,
    }
}

/// Rank of a device by its kind; lower is faster.
pub(super) fn speed_rank(device: &Device) -> u8 {
    match wgpu_device(device).map(|device| &device.kind) {
        Some(WgpuDeviceKind::IntegratedGpu(_)) => 1,
        Some(WgpuDeviceKind::VirtualGpu(_)) => 2,
        Some(WgpuDeviceKind::Other(_)) => 3,
        Some(WgpuDeviceKind::Cpu) => 4,
        _ => 0,
    }
}

pub(super) fn is_software(device: &Device) -> bool {
    wgpu_device(device).is_some_and(|device| device.kind == WgpuDeviceKind::Cpu)
}

/// Opens a device. burn would open it by itself on first use, and panic if that fails.
pub(super) fn open(name: &str, device: &Device) -> Result<(), DeviceError> {
    let Some(adapter) = wgpu_device(device) else { return Ok(()) };
    let refused = |reason| DeviceError::Unavailable { device: name.to_owned(), reason };
    let mut without_shaders = WITHOUT_SHADERS.lock().unwrap_or_else(PoisonError::into_inner);
    if without_shaders.contains(adapter) {
        return Err(refused(NO_SHADERS.to_owned()));
    }
    let kind = match adapter.kind {
        WgpuDeviceKind::DiscreteGpu(index) => DeviceKind::DiscreteGpu(index),
        WgpuDeviceKind::IntegratedGpu(index) => DeviceKind::IntegratedGpu(index),
        WgpuDeviceKind::VirtualGpu(index) => DeviceKind::VirtualGpu(index),
        WgpuDeviceKind::Cpu => DeviceKind::Cpu,
        _ => return Ok(()),
    };
    let options = Device::wgpu_options().device_kind(kind).graphics_api(adapter.backend);
    match options.init_with_setup() {
        Ok((_, setup)) if !has_valid_shaders(&setup) => {
            without_shaders.push(adapter.clone());
            Err(refused(NO_SHADERS.to_owned()))
        }
        // `Registration`: the device is already open.
        Ok(_) | Err(WgpuInitError::Registration { .. }) => Ok(()),
        Err(error) => Err(refused(error.to_string())),
    }
}
