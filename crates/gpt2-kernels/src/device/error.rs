//! Errors of devices.

/// Error of a device: names the device, the cause and the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// The text does not name a device.
    #[error(
        "`{device}` is not a device: expected one of \"auto\", \"cpu\", \"flex\", \"ndarray\", \"wgpu\", \"vulkan\", \"metal\", \"webgpu\" or \"cuda\", the last five with an optional index such as \"vulkan:0\""
    )]
    Unknown {
        /// The text that was given.
        device: String,
    },

    /// The device's backend was not compiled in.
    #[error(
        "the device `{device}` needs the cargo feature `{feature}`: build with `--features {feature}`"
    )]
    NotCompiled {
        /// Name of the requested device.
        device: String,
        /// Cargo feature that enables the backend.
        feature: &'static str,
    },

    /// The backend is compiled in, but finds no such device on this machine.
    #[error(
        "the device `{device}` does not exist on this machine: its backend finds {found} device(s); install the device's driver, or use another device, such as \"cpu\"{}", if device.starts_with("webgpu") { " (WebGPU is the browser's; elsewhere use \"wgpu\")" } else { "" }
    )]
    NotFound {
        /// Name of the requested device.
        device: String,
        /// Number of devices that the backend finds.
        found: usize,
    },

    /// The device exists, but its driver does not open it.
    #[error("the device `{device}` cannot be used: {reason}; use another device, such as \"cpu\"")]
    Unavailable {
        /// Name of the requested device.
        device: String,
        /// Reason that the driver gives.
        reason: String,
    },

    /// The device has no memory left.
    #[error(
        "the device {device} has no memory left ({reason}); use a smaller batch, shorter texts, 16-bit floats or gradient checkpointing, or another device"
    )]
    OutOfMemory {
        /// The device.
        device: String,
        /// Reason that the driver gives.
        reason: String,
    },

    /// The device was reset or removed: none of its tensors can be read.
    #[error(
        "the device {device} was lost ({reason}); start the program again, or use another device"
    )]
    Lost {
        /// The device.
        device: String,
        /// Reason that the driver gives.
        reason: String,
    },

    /// A computation on the device failed.
    #[error(
        "the device {device} failed: {reason}; use another device, or report this with the output of `gpt2 devices`"
    )]
    Failed {
        /// The device.
        device: String,
        /// Reason that the driver gives.
        reason: String,
    },

    /// The device cannot compute in this float type.
    #[error(
        "the device {device} does not compute in {dtype}; use 32-bit floats, another 16-bit type, or another device"
    )]
    UnsupportedFloatType {
        /// The device.
        device: String,
        /// The float type.
        dtype: String,
    },
}
