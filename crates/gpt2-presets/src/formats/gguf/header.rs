//! Header of a GGUF file: the metadata and the location of each tensor.
//!
//! All sizes that a file declares are first compared with the file's own size. Strings and arrays
//! stay in the bytes read, so that a header takes little more memory than in the file.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;

use gpt2_files::read_error;

use crate::error::PresetError;
use crate::formats::gguf::cursor::Cursor;
use crate::formats::gguf::keys::{ALIGNMENT, DEFAULT_ALIGNMENT, MAGIC};
use crate::formats::gguf::metadata::{Metadata, Value};
use crate::formats::gguf::tensor_type::TensorType;
use crate::formats::gguf::value_type::ValueType;
use crate::source::blob::Blob;

/// Maximum number of tensors: GPT-2 XL has 580. Each takes more memory than its entry in the file.
const MAX_TENSORS: u64 = 8192;
/// Maximum number of metadata entries: files have about thirty.
const MAX_METADATA: u64 = 4096;
/// Maximum number of axes of a tensor (`GGML_MAX_DIMS`).
const MAX_DIMS: u32 = 4;

/// Metadata and locations of the tensors in a file.
pub(crate) struct Header {
    /// Size of the file in bytes, against which all locations were checked.
    file_size: u64,
    pub(crate) metadata: Metadata,
    /// Tensors by name. All lie within the file, and none overlap.
    pub(crate) tensors: BTreeMap<String, TensorInfo>,
}

/// Type, shape and location of a tensor.
#[derive(Debug)]
pub(crate) struct TensorInfo {
    pub(crate) tensor_type: TensorType,
    /// Shape in row-major order, which is the file's order reversed.
    pub(crate) shape: Vec<usize>,
    /// Offset of the tensor's first byte in the file.
    pub(crate) start: u64,
}

/// A tensor as in its entry, with an offset after the header.
struct Entry {
    name: String,
    tensor_type: TensorType,
    shape: Vec<usize>,
    offset: u64,
    size: u64,
}

impl Header {
    /// Reads and checks the header of a file; `file` is its name in messages.
    pub(crate) fn read(blob: &mut Blob, file: &str) -> Result<Self, PresetError> {
        #[cfg(test)]
        READS.set(READS.get() + 1);
        let size = blob.size().map_err(|error| read_error(file.as_ref())(error))?;
        let mut cursor = Cursor::new(blob, size, file);
        check_version(&mut cursor)?;
        let tensors = count(&mut cursor, "number of tensors", MAX_TENSORS)?;
        let entries = count(&mut cursor, "number of metadata entries", MAX_METADATA)?;
        let mut values = BTreeMap::new();
        for _ in 0..entries {
            let key = cursor.name("key of the metadata")?;
            let value = value(&mut cursor, &key)?;
            if values.contains_key(&key) {
                return Err(cursor.invalid(&key, "it occurs twice".to_owned()));
            }
            values.insert(key, value);
        }
        let entries: Vec<_> =
            (0..tensors).map(|_| tensor(&mut cursor)).collect::<Result<_, _>>()?;
        let end = cursor.position();
        let metadata = Metadata::new(file.to_owned(), cursor.into_bytes(), values);
        let alignment = alignment(&metadata)?;
        let tensors = place(&metadata, entries, end, size, alignment)?;
        Ok(Self { file_size: size, metadata, tensors })
    }

    /// Whether a file has this size and begins with this header, byte for byte. If so, it need not
    /// be read and checked again.
    pub(crate) fn is_that_of(&self, blob: &mut Blob) -> io::Result<bool> {
        const PIECE: usize = 64 * 1024;
        if blob.size()? != self.file_size {
            return Ok(false);
        }
        let mut found = Vec::new();
        for (index, expected) in self.metadata.header().chunks(PIECE).enumerate() {
            found.resize(expected.len(), 0);
            blob.read_at((index * PIECE) as u64, &mut found)?;
            if found != expected {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn check_version(cursor: &mut Cursor<'_>) -> Result<(), PresetError> {
    let magic: [u8; 4] = cursor.array("magic")?;
    if magic != *MAGIC {
        let found = magic.escape_ascii();
        return Err(cursor.invalid("magic", format!("expected `GGUF`, found `{found}`")));
    }
    match cursor.u32("version")? {
        2 | 3 => Ok(()),
        version if version > 0 && version & 0xffff == 0 => {
            let detail = "the file is big endian, expected little endian; convert it with \
                          `gguf_convert_endian.py FILE little` of llama.cpp";
            Err(cursor.invalid("version", detail.to_owned()))
        }
        version => Err(cursor.invalid("version", format!("expected 2 or 3, found {version}"))),
    }
}

fn count(cursor: &mut Cursor<'_>, field: &str, limit: u64) -> Result<u64, PresetError> {
    let count = cursor.u64(field)?;
    if count > limit {
        return Err(cursor.invalid(field, format!("expected at most {limit}, found {count}")));
    }
    Ok(count)
}

fn value(cursor: &mut Cursor<'_>, key: &str) -> Result<Value, PresetError> {
    let value_type = value_type(cursor, key)?;
    if value_type != ValueType::Array {
        let range = values(cursor, key, value_type, 1)?;
        return Ok(Value { value_type, range, count: None });
    }
    let element = self::value_type(cursor, key)?;
    if element == ValueType::Array {
        // llama.cpp supports none either.
        return Err(cursor.invalid(key, "expected no array of arrays".to_owned()));
    }
    let count = cursor.u64(key)?;
    let range = values(cursor, key, element, count)?;
    Ok(Value { value_type: element, range, count: Some(count) })
}

fn value_type(cursor: &mut Cursor<'_>, key: &str) -> Result<ValueType, PresetError> {
    let id = cursor.u32(key)?;
    let unknown = || cursor.invalid(key, format!("expected a type from 0 to 12, found {id}"));
    ValueType::from_id(id).ok_or_else(unknown)
}

/// Takes consecutive values.
fn values(
    cursor: &mut Cursor<'_>,
    key: &str,
    value_type: ValueType,
    count: u64,
) -> Result<Range<usize>, PresetError> {
    if let Some(size) = value_type.size() {
        return cursor.take(count, size, key);
    }
    let start = cursor.position() as usize;
    // Each value takes at least its length from the file, so that a false count fails soon.
    for _ in 0..count {
        cursor.string(key)?;
    }
    Ok(start..cursor.position() as usize)
}

fn tensor(cursor: &mut Cursor<'_>) -> Result<Entry, PresetError> {
    let name = cursor.name("name of a tensor")?;
    let dims = cursor.u32(&name)?;
    if dims > MAX_DIMS {
        let detail = format!("expected at most {MAX_DIMS} axes, found {dims}");
        return Err(cursor.invalid(&name, detail));
    }
    let mut shape = Vec::with_capacity(MAX_DIMS as usize);
    for _ in 0..dims {
        let dim = cursor.u64(&name)?;
        let too_large = |_| cursor.invalid(&name, format!("an axis of {dim} elements"));
        shape.push(usize::try_from(dim).map_err(too_large)?);
    }
    shape.reverse();
    let id = cursor.u32(&name)?;
    let Some(tensor_type) = TensorType::from_id(id) else {
        return Err(cursor.invalid(&name, format!("unknown type {id} of its elements")));
    };
    let Some(size) = tensor_type.bytes(&shape) else {
        let detail = format!("elements of type {} do not fill shape {shape:?}", tensor_type.name);
        return Err(cursor.invalid(&name, detail));
    };
    let offset = cursor.u64(&name)?;
    Ok(Entry { name, tensor_type, shape, offset, size })
}

fn alignment(metadata: &Metadata) -> Result<u64, PresetError> {
    let alignment = metadata.size(ALIGNMENT)?.map_or(DEFAULT_ALIGNMENT, |size| size as u64);
    if alignment.is_power_of_two() {
        return Ok(alignment);
    }
    let detail = format!("expected a power of two, found {alignment}");
    Err(metadata.invalid_file(ALIGNMENT, detail))
}

/// Locates the tensors. Each must begin at the aligned end of the previous one, as llama.cpp
/// demands, and lie within the file.
fn place(
    metadata: &Metadata,
    entries: Vec<Entry>,
    header_end: u64,
    file_size: u64,
    alignment: u64,
) -> Result<BTreeMap<String, TensorInfo>, PresetError> {
    let mut tensors = BTreeMap::new();
    let data_start = header_end.checked_next_multiple_of(alignment);
    let mut next = 0u64;
    for Entry { name, tensor_type, shape, offset, size } in entries {
        if offset != next {
            let detail = format!("expected offset {next}, found {offset}");
            return Err(metadata.invalid_file(&name, detail));
        }
        let start = data_start.and_then(|start| start.checked_add(offset));
        let end = start.and_then(|start| start.checked_add(size)).filter(|end| *end <= file_size);
        let padded = size.checked_next_multiple_of(alignment);
        let (Some(start), Some(_), Some(padded)) = (start, end, padded) else {
            let detail = format!(
                "expected {size} bytes, {offset} after the header of {header_end} bytes, found a \
                 file of {file_size}"
            );
            return Err(metadata.invalid_file(&name, detail));
        };
        next = offset.saturating_add(padded);
        if tensors.contains_key(&name) {
            return Err(metadata.invalid_file(&name, "it occurs twice".to_owned()));
        }
        tensors.insert(name, TensorInfo { tensor_type, shape, start });
    }
    Ok(tensors)
}

#[cfg(test)]
std::thread_local! {
    static READS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Number of headers that this thread has read.
#[cfg(test)]
pub(crate) fn reads() -> usize {
    READS.get()
}
