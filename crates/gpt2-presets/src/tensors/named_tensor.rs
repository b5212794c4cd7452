//! A tensor on its device, with its name in a file.

use std::io;

use burn::tensor::Tensor;
use gpt2_backbone::read_f32;

/// A tensor to be written. It is copied to the host only when it is written.
pub(crate) struct NamedTensor {
    /// Name, or path in an HDF5 file.
    pub(crate) name: String,
    /// Shape in the file.
    pub(crate) shape: Vec<usize>,
    /// Elements in row-major order: `[elements]`.
    pub(crate) values: Tensor<1>,
}

impl NamedTensor {
    /// The elements as 32-bit floats. A device's error becomes one of the file's writer.
    pub(crate) fn to_host(&self) -> io::Result<Vec<f32>> {
        read_f32(self.values.clone()).map_err(io::Error::other)
    }
}
