//! A tensor on its device, under the name that it has in a file.

use burn::tensor::Tensor;

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
    /// The elements as 32-bit floats.
    pub(crate) fn to_host(&self) -> Vec<f32> {
        let data = self.values.clone().into_data().convert::<f32>();
        data.try_into_vec().expect("converted to 32-bit floats")
    }
}
