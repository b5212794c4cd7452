//! Check of burn's shaders for a device.

use burn::tensor::wgpu::WgpuSetup;

/// Whether burn's Vulkan shaders with shared memory are valid for the device that was set up.
///
/// On devices without the extension `VK_KHR_workgroup_memory_explicit_layout`, such as Mesa's
/// llvmpipe, cubecl 0.11.3 declares shared memory as a pointer to a pointer (`cubecl-spirv`,
/// `ops/memory.rs`, `lower_shared_implicit`). `spirv-val` rejects that, and a driver may crash or
/// return wrong results. WGSL shaders, in builds without the feature `vulkan`, are not affected.
pub fn has_valid_shaders(setup: &WgpuSetup) -> bool {
    #[cfg(feature = "vulkan")]
    {
        use burn::tensor::wgpu::wgpu::hal::api::Vulkan;
        // SAFETY: the adapter's features are read; it is neither changed nor destroyed.
        let adapter = unsafe { setup.adapter.as_hal::<Vulkan>() };
        let extension = c"VK_KHR_workgroup_memory_explicit_layout";
        adapter.is_none_or(|vulkan| {
            vulkan.physical_device_capabilities().supports_extension(extension)
        })
    }
    #[cfg(not(feature = "vulkan"))]
    {
        let _ = setup;
        true
    }
}
