//! Trait of files with tensors, and the values read from them.

use burn::tensor::{AllocationProperty, Bytes, DType, TensorData};

use crate::error::PresetError;
use crate::tensors::tensor_part::TensorPart;

/// One open file with tensors.
pub(crate) trait WeightsFile {
    /// Names of all tensors.
    fn names(&self) -> Vec<String>;

    /// Shape of a tensor, after all checks that do not need its values.
    fn inspect(&mut self, name: &str) -> Result<Vec<usize>, PresetError>;

    /// Values of a part of an inspected tensor, as 32-bit floats. With `share` they may be in the
    /// file's memory map.
    fn read(&mut self, name: &str, part: TensorPart, share: bool) -> Result<Values, PresetError>;
}

/// Values of a tensor.
pub(crate) enum Values {
    /// In memory of their own.
    Owned(Vec<f32>),
    /// In memory that is shared with the file, aligned for 32-bit floats.
    Shared(bytes::Bytes),
}

impl Values {
    pub(crate) fn as_slice(&self) -> &[f32] {
        match self {
            Self::Owned(values) => values,
            Self::Shared(bytes) => bytemuck::cast_slice(bytes),
        }
    }

    /// Passes the values to burn without a copy. burn copies shared values before it first writes
    /// to them.
    pub(crate) fn into_data(self, shape: &[usize]) -> TensorData {
        match self {
            Self::Owned(values) => TensorData::new(values, shape.to_vec()),
            Self::Shared(bytes) => {
                let bytes = Bytes::from_shared(bytes, AllocationProperty::Other);
                TensorData::from_bytes(bytes, shape.to_vec(), DType::F32)
            }
        }
    }
}
