//! Check of PyTorch's containers before they are read.
//!
//! The crate `pytorch-reader` detects the container by itself. A file that could be two containers
//! is therefore an error, and so is an archive with compressed members.

use std::fs::File;

use pytorch_reader::FileFormat;

use crate::source::zip_members::ZipMembers;
use crate::tensors::pytorch::pickle::{MAX_PICKLE_SIZE, checked_length};

/// Checks the container of a file that begins with `start`, and returns its format. `detect_format`
/// of `pytorch-reader` (`src/reader.rs`) detects the same format.
pub(crate) fn check_container(file: File, start: &[u8]) -> Result<FileFormat, String> {
    /// Offset of the magic in a TAR header.
    const TAR_MAGIC: usize = 257;
    if start.get(TAR_MAGIC..).is_some_and(|rest| rest.starts_with(b"ustar")) {
        return Err("it is a TAR archive, which PyTorch has not written since 0.1.10".to_owned());
    }
    if start.starts_with(b"PK\x03\x04") {
        check_zip(file)?;
        return Ok(FileFormat::Zip);
    }
    if start.starts_with(b"PK") {
        return Err("it is a zip archive that does not begin with a member".to_owned());
    }
    check_legacy(start)?;
    Ok(FileFormat::Legacy)
}

/// Checks the container of PyTorch 1.6 and later: a zip archive with one pickle.
fn check_zip(file: File) -> Result<(), String> {
    let mut members = ZipMembers::open(file, |_| true)?;
    if !members.all_stored() {
        return Err("it is compressed".to_owned());
    }
    let pickles: Vec<_> = members.names().filter(|name| is_pickle(name)).collect();
    let [pickle] = pickles.as_slice() else {
        return Err(format!("{} members `data.pkl`, expected one", pickles.len()));
    };
    let (name, size) = (pickle.to_string(), members.size(pickle).unwrap_or_default());
    if size > MAX_PICKLE_SIZE as u64 {
        return Err(format!("{size} bytes of pickle, expected at most {MAX_PICKLE_SIZE}"));
    }
    let mut bytes = Vec::new();
    members.read(&name, |member| member.read_to_end(&mut bytes))?;
    checked_length(&bytes).map(|_| ())
}

fn is_pickle(member: &str) -> bool {
    member.rsplit('/').next() == Some("data.pkl")
}

/// Checks the container of older versions. It consists of pickles with a magic number, a version,
/// the system's properties, the state dict and the list of storages, then of the storages.
fn check_legacy(start: &[u8]) -> Result<(), String> {
    const PICKLES: usize = 5;
    let mut position = 0;
    for index in 0..PICKLES {
        let rest = &start[position..];
        let length = checked_length(&rest[..rest.len().min(MAX_PICKLE_SIZE)])?;
        if index == 0 && !has_magic(&rest[..length]) {
            return Err("it is neither a zip archive nor has the magic number".to_owned());
        }
        position += length;
        if position > MAX_PICKLE_SIZE {
            return Err(format!("more than {MAX_PICKLE_SIZE} bytes of pickles"));
        }
    }
    Ok(())
}

/// Whether the first pickle has the magic number of `torch/serialization.py`,
/// 0x1950a86a20f9469cfc6c, in a form that the reader finds: as bytes, or in decimal as before
/// version 2 of pickles.
fn has_magic(pickle: &[u8]) -> bool {
    const BYTES: &[u8] = &[0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
    const DECIMAL: &[u8] = b"119547037146038801333356";
    const SEARCHED: usize = 64;
    let searched = &pickle[..pickle.len().min(SEARCHED)];
    let has = |magic: &[u8]| searched.windows(magic.len()).any(|bytes| bytes == magic);
    has(BYTES) || has(DECIMAL)
}
