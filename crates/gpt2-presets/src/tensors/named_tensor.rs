//! A tensor on its device, under the name that it has in a file.

use std::io;

use burn::tensor::Tensor;
use gpt2_backbone::read_f32;

/// A tensor that is about to be written. Only then is it copied to the host.
pub(crate) struct NamedTensor {
    /// Its name, or its path in an HDF5 file.
    pub(crate) name: String,
    /// Its shape in the file.
    pub(crate) shape: Vec<usize>,
    /// Its elements in row-major order: `[elements]`.
    pub(crate) values: Tensor<1>,
}

impl NamedTensor {
    /// The elements as 32-bit floats. What the device says against it, the file's writer passes on.
    pub(crate) fn to_host(&self) -> io::Result<Vec<f32>> {
        read_f32(self.values.clone()).map_err(io::Error::other)
    }
}
