//! Devices by name, and reads of their tensors.

mod error;
mod names;
mod read;
#[cfg(feature = "wgpu")]
mod wgpu;

pub use error::DeviceError;
pub use names::{BACKENDS, DeviceInfo, check_float_type, devices, is_compiled, parse_device};
pub use read::{PendingRead, read, read_f32, start_read};
