//! Metadata of a GGUF file: values by key, decoded on access.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::error::PresetError;
use crate::formats::gguf::cursor::GGUF;
use crate::formats::gguf::value_type::ValueType;

/// Maximum number of bytes of a value in a message.
const SHOWN: usize = 40;

/// All entries of a file.
pub(crate) struct Metadata {
    /// Name of the file in messages.
    file: String,
    /// The header, which contains the values.
    bytes: Vec<u8>,
    values: BTreeMap<String, Value>,
}

/// A value, or an array of them.
#[derive(Debug, Clone)]
pub(crate) struct Value {
    /// Type of the value, or of the array's elements.
    pub(crate) value_type: ValueType,
    /// Location in the header.
    pub(crate) range: Range<usize>,
    /// Number of elements, if it is an array.
    pub(crate) count: Option<u64>,
}

impl Metadata {
    pub(crate) fn new(file: String, bytes: Vec<u8>, values: BTreeMap<String, Value>) -> Self {
        Self { file, bytes, values }
    }

    /// Name of the file in messages.
    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    /// The header, with the tensors' locations.
    pub(crate) fn header(&self) -> &[u8] {
        &self.bytes
    }

    /// A string. None if the key is absent.
    pub(crate) fn text(&self, key: &'static str) -> Result<Option<&str>, PresetError> {
        self.scalar(key, "a string", |value_type, bytes| {
            let bytes = (value_type == ValueType::String).then(|| bytes.get(8..)).flatten()?;
            std::str::from_utf8(bytes).ok()
        })
    }

    /// A positive integer of any type.
    pub(crate) fn size(&self, key: &'static str) -> Result<Option<usize>, PresetError> {
        self.scalar(key, "a positive integer", |value_type, bytes| {
            let size = usize::try_from(integer(value_type, bytes)?).ok()?;
            (size > 0).then_some(size)
        })
    }

    /// A token id, an integer of any type.
    pub(crate) fn token_id(&self, key: &'static str) -> Result<Option<u32>, PresetError> {
        self.scalar(key, "the id of a token", |value_type, bytes| {
            u32::try_from(integer(value_type, bytes)?).ok()
        })
    }

    /// A number. A 32-bit float is converted through its shortest decimal text, such as `1e-5`.
    pub(crate) fn number(&self, key: &'static str) -> Result<Option<f64>, PresetError> {
        self.scalar(key, "a number", |value_type, bytes| match value_type {
            ValueType::F32 => f32::from_le_bytes(bytes.try_into().ok()?).to_string().parse().ok(),
            ValueType::F64 => Some(f64::from_le_bytes(bytes.try_into().ok()?)),
            _ => None,
        })
    }

    /// An array of strings, in order.
    pub(crate) fn texts(&self, key: &'static str) -> Result<Option<Texts<'_>>, PresetError> {
        self.array(key, "an array of UTF-8 strings", |value_type, bytes| {
            let mut all = Texts { rest: bytes };
            all.by_ref().for_each(drop);
            let valid = value_type == ValueType::String && all.rest.is_empty();
            valid.then_some(Texts { rest: bytes })
        })
    }

    /// An array of 32-bit integers.
    pub(crate) fn integers(&self, key: &'static str) -> Result<Option<Vec<i32>>, PresetError> {
        self.array(key, "an array of integers of 32 bits", |value_type, bytes| {
            let known = matches!(value_type, ValueType::I32 | ValueType::U32);
            known.then(|| bytemuck::pod_collect_to_vec(bytes))
        })
    }

    /// Error for one of the file's fields.
    pub(crate) fn invalid_file(&self, field: &str, detail: String) -> PresetError {
        GGUF.malformed(&*self.file, field, detail)
    }

    /// Error for a missing or unexpected value.
    pub(crate) fn invalid(&self, key: &'static str, expected: &'static str) -> PresetError {
        let found = self.values.get(key).map_or_else(|| "nothing".to_owned(), |it| self.show(it));
        PresetError::InvalidConfigValue { file: self.file.clone(), key, expected, found }
    }

    fn scalar<'a, T>(
        &'a self,
        key: &'static str,
        expected: &'static str,
        parse: impl FnOnce(ValueType, &'a [u8]) -> Option<T>,
    ) -> Result<Option<T>, PresetError> {
        self.parsed(key, expected, |value| value.count.is_none(), parse)
    }

    fn array<'a, T>(
        &'a self,
        key: &'static str,
        expected: &'static str,
        parse: impl FnOnce(ValueType, &'a [u8]) -> Option<T>,
    ) -> Result<Option<T>, PresetError> {
        self.parsed(key, expected, |value| value.count.is_some(), parse)
    }

    fn parsed<'a, T>(
        &'a self,
        key: &'static str,
        expected: &'static str,
        is_such: impl FnOnce(&Value) -> bool,
        parse: impl FnOnce(ValueType, &'a [u8]) -> Option<T>,
    ) -> Result<Option<T>, PresetError> {
        let Some(value) = self.values.get(key) else { return Ok(None) };
        let bytes = &self.bytes[value.range.clone()];
        let parsed = if is_such(value) { parse(value.value_type, bytes) } else { None };
        parsed.map(Some).ok_or_else(|| self.invalid(key, expected))
    }

    /// Text of a value for a message.
    fn show(&self, value: &Value) -> String {
        let Value { value_type, range, count } = value;
        let bytes = &self.bytes[range.clone()];
        match (count, value_type) {
            (Some(count), _) => format!("an array of {count} values of type {value_type:?}"),
            (None, ValueType::String) => {
                let text = bytes.get(8..).unwrap_or_default();
                let shown = String::from_utf8_lossy(&text[..text.len().min(SHOWN)]);
                format!("{shown:?}")
            }
            (None, ValueType::F32) => bytes
                .try_into()
                .map_or_else(|_| String::new(), |it| f32::from_le_bytes(it).to_string()),
            (None, ValueType::F64) => bytes
                .try_into()
                .map_or_else(|_| String::new(), |it| f64::from_le_bytes(it).to_string()),
            (None, ValueType::Bool) => (bytes != [0]).to_string(),
            _ => integer(*value_type, bytes).map_or_else(String::new, |it| it.to_string()),
        }
    }
}

/// Strings within the header. A list of them would take more memory than their bytes.
#[derive(Clone)]
pub(crate) struct Texts<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Texts<'a> {
    type Item = &'a str;

    /// Ends at the first value that is not a valid string.
    fn next(&mut self) -> Option<&'a str> {
        let (length, rest) = self.rest.split_first_chunk()?;
        let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
        let (text, rest) = rest.split_at_checked(length)?;
        let text = std::str::from_utf8(text).ok()?;
        self.rest = rest;
        Some(text)
    }
}

/// An integer of any type.
fn integer(value_type: ValueType, bytes: &[u8]) -> Option<i128> {
    Some(match value_type {
        ValueType::U8 => u8::from_le_bytes(bytes.try_into().ok()?).into(),
        ValueType::I8 => i8::from_le_bytes(bytes.try_into().ok()?).into(),
        ValueType::U16 => u16::from_le_bytes(bytes.try_into().ok()?).into(),
        ValueType::I16 => i16::from_le_bytes(bytes.try_into().ok()?).into(),
        ValueType::U32 => u32::from_le_bytes(bytes.try_into().ok()?).into(),
        ValueType::I32 => i32::from_le_bytes(bytes.try_into().ok()?).into(),
        ValueType::U64 => u64::from_le_bytes(bytes.try_into().ok()?).into(),
        ValueType::I64 => i64::from_le_bytes(bytes.try_into().ok()?).into(),
        _ => return None,
    })
}
