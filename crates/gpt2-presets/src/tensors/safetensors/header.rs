//! Header of a safetensors file, which is checked before any tensor is read.
//!
//! The types are those of the crate safetensors. Its parser keeps the last of two tensors with the
//! same name, and does not name a tensor of wrong size, so the rules are applied here.

use std::collections::BTreeMap;
use std::fmt;

use safetensors::tensor::TensorInfo;
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

use crate::error::PresetError;
use crate::file_kind::FileKind;

/// Kind of file, for messages.
pub(crate) const SAFETENSORS: FileKind =
    FileKind { name: "safetensors file", remedy: "download it again" };

/// Size in bytes of the length before the header.
pub(crate) const PREFIX: u64 = 8;
/// Maximum length of a header in bytes: GPT-2 XL has 70 KB, the format allows 100 MB.
const MAX_HEADER: u64 = 16 * 1024 * 1024;
/// Maximum number of tensors: GPT-2 XL has 580.
const MAX_TENSORS: usize = 65_536;
/// Maximum number of metadata entries: files have a handful.
const MAX_METADATA: usize = 1024;
/// Key of the metadata, among the names of tensors.
pub(crate) const METADATA: &str = "__metadata__";

/// Locations of a file's tensors.
pub(crate) struct Header {
    /// Offset in the file of the first tensor's first byte.
    pub(crate) data_start: u64,
    /// Tensors, whose ranges fill the rest of the file without gap or overlap.
    pub(crate) tensors: BTreeMap<String, TensorInfo>,
    /// Entries of the metadata.
    pub(crate) metadata: BTreeMap<String, String>,
}

/// Length of the header in bytes, from the first eight bytes of a file of `size` bytes.
pub(crate) fn header_length(prefix: [u8; 8], size: u64, file: &str) -> Result<u64, PresetError> {
    let length = u64::from_le_bytes(prefix);
    let limit = MAX_HEADER.min(size.saturating_sub(PREFIX));
    if length > limit {
        let detail = format!("expected at most {limit} bytes, found {length}");
        return Err(invalid(file, "header length", detail));
    }
    Ok(length)
}

/// Parses and checks the header of a file of `size` bytes.
pub(crate) fn parse(header: &[u8], size: u64, file: &str) -> Result<Header, PresetError> {
    let text = std::str::from_utf8(header).map_err(|error| {
        invalid(file, "header", format!("invalid UTF-8 at byte {}", error.valid_up_to()))
    })?;
    if !text.starts_with('{') {
        return Err(invalid(file, "header", "expected `{` as its first byte".to_owned()));
    }
    let RawHeader { tensors, metadata } =
        serde_json::from_str(text).map_err(|error| invalid(file, "header", error.to_string()))?;
    let data_start = PREFIX + header.len() as u64;
    check_ranges(&tensors, size.saturating_sub(data_start), file)?;
    Ok(Header { data_start, tensors, metadata })
}

/// Checks that each tensor begins where the previous one ends, that its size follows from its
/// shape, and that the last ends with the file.
fn check_ranges(
    tensors: &BTreeMap<String, TensorInfo>,
    data_size: u64,
    file: &str,
) -> Result<(), PresetError> {
    let mut sorted: Vec<_> = tensors.iter().collect();
    sorted.sort_by_key(|(_, info)| info.data_offsets);
    let mut end = 0;
    for (name, info) in sorted {
        let (start, stop) = info.data_offsets;
        if start != end || stop < start {
            let detail = format!("expected offsets from {end} on, found {start} to {stop}");
            return Err(invalid(file, name, detail));
        }
        let elements = info.shape.iter().try_fold(1usize, |product, dim| product.checked_mul(*dim));
        let bits = elements.and_then(|elements| elements.checked_mul(info.dtype.bitsize()));
        if bits != Some((stop - start).saturating_mul(8)) {
            let (shape, dtype, size) = (&info.shape, info.dtype, stop - start);
            let detail = format!("{size} bytes do not hold the shape {shape:?} of {dtype}");
            return Err(invalid(file, name, detail));
        }
        end = stop;
    }
    if end as u64 != data_size {
        let detail = format!("expected {end} bytes after the header, found {data_size}");
        return Err(invalid(file, "length of the file", detail));
    }
    Ok(())
}

fn invalid(file: &str, field: &str, detail: String) -> PresetError {
    SAFETENSORS.malformed(file, field, detail)
}

/// The JSON object, with unique names.
struct RawHeader {
    tensors: BTreeMap<String, TensorInfo>,
    metadata: BTreeMap<String, String>,
}

impl<'de> Deserialize<'de> for RawHeader {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeaderVisitor)
    }
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = RawHeader;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object from tensor names to their places")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawHeader, A::Error> {
        let mut tensors = BTreeMap::new();
        let mut metadata = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            if name == METADATA {
                Metadata(metadata) = map.next_value()?;
                continue;
            }
            let info = |map: &mut A| {
                map.next_value()
                    .map_err(|error| A::Error::custom(format!("tensor `{name}`: {error}")))
            };
            insert_once(&mut tensors, MAX_TENSORS, "tensor", &name, info(&mut map)?)?;
        }
        Ok(RawHeader { tensors, metadata })
    }
}

/// Strings by name.
struct Metadata(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MetadataVisitor)
    }
}

struct MetadataVisitor;

impl<'de> Visitor<'de> for MetadataVisitor {
    type Value = Metadata;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object from names to strings")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Metadata, A::Error> {
        let mut metadata = BTreeMap::new();
        while let Some((name, value)) = map.next_entry::<String, String>()? {
            insert_once(&mut metadata, MAX_METADATA, "metadata", &name, value)?;
        }
        Ok(Metadata(metadata))
    }
}

/// Adds an entry with a new name to a map of limited size.
fn insert_once<V, E: Error>(
    map: &mut BTreeMap<String, V>,
    limit: usize,
    what: &str,
    name: &str,
    value: V,
) -> Result<(), E> {
    if map.len() == limit {
        return Err(E::custom(format!("more than {limit} entries of kind {what}")));
    }
    match map.insert(name.to_owned(), value) {
        Some(_) => Err(E::custom(format!("{what} `{name}` occurs twice"))),
        None => Ok(()),
    }
}
