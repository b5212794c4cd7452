//! Layout of a GGUF file to be written: its header, and the location of each tensor.

use crate::formats::gguf::keys::{DEFAULT_ALIGNMENT, MAGIC};
use crate::formats::gguf::value_type::ValueType;

/// Version of the format.
const VERSION: u32 = 3;

/// A header under construction. The file has the tensors in the order in which they are added.
#[derive(Default)]
pub(crate) struct Layout {
    metadata: Vec<u8>,
    entries: u64,
    tensors: Vec<u8>,
    count: u64,
    end: u64,
}

impl Layout {
    pub(crate) fn text(&mut self, key: &str, text: &str) {
        self.key(key, ValueType::String);
        string(&mut self.metadata, text);
    }

    pub(crate) fn flag(&mut self, key: &str, flag: bool) {
        self.key(key, ValueType::Bool);
        self.metadata.push(flag.into());
    }

    pub(crate) fn number(&mut self, key: &str, number: f32) {
        self.key(key, ValueType::F32);
        self.metadata.extend(number.to_le_bytes());
    }

    /// Adds an integer, in the only type that llama.cpp accepts for most of them.
    pub(crate) fn integer(&mut self, key: &str, integer: u32) {
        self.key(key, ValueType::U32);
        self.metadata.extend(integer.to_le_bytes());
    }

    pub(crate) fn integers(&mut self, key: &str, integers: &[i32]) {
        self.array(key, ValueType::I32, integers.len());
        self.metadata.extend(integers.iter().flat_map(|integer| integer.to_le_bytes()));
    }

    pub(crate) fn texts(&mut self, key: &str, texts: &[String]) {
        self.array(key, ValueType::String, texts.len());
        texts.iter().for_each(|text| string(&mut self.metadata, text));
    }

    /// Adds a tensor with a row-major shape and a size in bytes. Returns its offset after the
    /// header.
    pub(crate) fn tensor(&mut self, name: &str, shape: &[usize], type_id: u32, size: u64) -> u64 {
        let start = self.end;
        string(&mut self.tensors, name);
        self.tensors.extend((shape.len() as u32).to_le_bytes());
        self.tensors.extend(shape.iter().rev().flat_map(|dim| (*dim as u64).to_le_bytes()));
        self.tensors.extend(type_id.to_le_bytes());
        self.tensors.extend(start.to_le_bytes());
        self.count += 1;
        self.end = (start + size).next_multiple_of(DEFAULT_ALIGNMENT);
        start
    }

    /// Size of all tensors in bytes, with padding after each.
    pub(crate) fn data_size(&self) -> u64 {
        self.end
    }

    /// All bytes before the tensors.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(self.count.to_le_bytes());
        bytes.extend(self.entries.to_le_bytes());
        bytes.extend(self.metadata);
        bytes.extend(self.tensors);
        bytes.resize(bytes.len().next_multiple_of(DEFAULT_ALIGNMENT as usize), 0);
        bytes
    }

    fn key(&mut self, key: &str, value_type: ValueType) {
        string(&mut self.metadata, key);
        self.metadata.extend(value_type.id().to_le_bytes());
        self.entries += 1;
    }

    fn array(&mut self, key: &str, element: ValueType, count: usize) {
        self.key(key, ValueType::Array);
        self.metadata.extend(element.id().to_le_bytes());
        self.metadata.extend((count as u64).to_le_bytes());
    }
}

fn string(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.bytes());
}
