//! Layout of a safetensors file to be written: its header, and the location of each tensor.

use gpt2_backbone::WeightDtype;
use safetensors::Dtype;
use safetensors::tensor::TensorInfo;
use serde_json::{Map, Value, json};

use crate::tensors::safetensors::header::METADATA;

/// A header under construction. The file has the tensors in the order in which they are added.
pub(crate) struct Layout {
    header: Map<String, Value>,
    end: usize,
}

impl Layout {
    /// A file with this metadata and no tensors.
    pub(crate) fn new(metadata: &[(&str, String)]) -> Self {
        let metadata: Map<_, _> =
            metadata.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
        Self { header: Map::from_iter([(METADATA.to_owned(), Value::Object(metadata))]), end: 0 }
    }

    /// Adds a tensor and returns its offset after the header.
    pub(crate) fn add(&mut self, name: &str, dtype: Dtype, shape: &[usize]) -> u64 {
        let start = self.end;
        self.end += shape.iter().product::<usize>() * dtype.bitsize() / 8;
        let data_offsets = (start, self.end);
        let info = TensorInfo { dtype, shape: shape.to_vec(), data_offsets };
        self.header.insert(name.to_owned(), json!(info));
        start as u64
    }

    /// All bytes before the tensors.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        let header = Value::Object(self.header).to_string();
        // Padded, so that the tensors are aligned in a mapped file.
        let length = header.len().next_multiple_of(8);
        let mut bytes = (length as u64).to_le_bytes().to_vec();
        bytes.extend(header.bytes());
        bytes.resize(8 + length, b' ');
        bytes
    }
}

/// The format's name of a float type.
pub(crate) fn float_type(dtype: WeightDtype) -> Dtype {
    match dtype {
        WeightDtype::F32 => Dtype::F32,
        WeightDtype::F16 => Dtype::F16,
        WeightDtype::Bf16 => Dtype::BF16,
    }
}

#[cfg(test)]
mod tests {
    use safetensors::SafeTensors;

    use super::*;

    /// GPT-2 base has a header of more than 64 KiB.
    #[test]
    fn a_header_of_any_length_is_padded_to_eight_bytes() {
        for tensors in [1, 2, 5000] {
            let mut layout = Layout::new(&[("format", "pt".to_owned())]);
            for index in 0..tensors {
                layout.add(&format!("tensor_{index}"), Dtype::U8, &[1]);
            }
            let mut bytes = layout.into_bytes();
            assert_eq!(bytes.len() % 8, 0);
            assert!(tensors < 5000 || bytes.len() > usize::from(u16::MAX));
            bytes.resize(bytes.len() + tensors, 7);
            assert_eq!(SafeTensors::deserialize(&bytes).unwrap().len(), tensors);
        }
    }
}
