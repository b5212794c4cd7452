//! Members of a zip archive. All are checked before any is read.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufReader, Read};

use zip::CompressionMethod::{Deflated, Stored};
use zip::ZipReadOptions;
use zip::read::{Config, ZipFileEntry};
use zip::unstable::read::ZipIterable;

/// Maximum number of members, far above those of Keras and PyTorch.
const MAX_MEMBERS: usize = 65_535;

/// Size in bytes up to which a member may expand without limit. Larger members may have at most
/// [`MAX_EXPANSION`] times their compressed size, so that none fills the memory or the disk. The
/// ratio is Keras' limit; deflation can reach 1032.
const MAX_SMALL: u64 = 1024 * 1024;
const MAX_EXPANSION: u64 = 100;

/// Checked members of an archive, by name.
pub(crate) struct ZipMembers {
    file: BufReader<File>,
    members: BTreeMap<String, ZipFileEntry<'static>>,
}

impl ZipMembers {
    /// Lists an archive's members and keeps the `wanted` ones. All members are checked: a name that
    /// leads out of a folder marks a malicious archive.
    pub(crate) fn open(file: File, wanted: impl Fn(&str) -> bool) -> Result<Self, String> {
        let handle = file.try_clone().map_err(|error| error.to_string())?;
        let archive = ZipIterable::try_new(BufReader::new(handle), Config::default());
        let archive = archive.map_err(|error| error.to_string())?;
        if archive.len() > MAX_MEMBERS {
            return Err(format!("{} members, expected at most {MAX_MEMBERS}", archive.len()));
        }
        let mut archive = archive.enforce_header_consistency(true);
        let (mut names, mut members) = (BTreeSet::new(), BTreeMap::new());
        for entry in archive.files().map_err(|error| error.to_string())? {
            let entry = entry.map_err(|error| error.to_string())?;
            let name = entry.name().map_err(|error| error.to_string())?.into_owned();
            check(&name, &entry).map_err(|detail| format!("member {name:?}: {detail}"))?;
            if !names.insert(name.clone()) {
                return Err(format!("member {name:?}: it occurs twice"));
            }
            if wanted(&name) {
                members.insert(name, entry);
            }
        }
        Ok(Self { file: BufReader::new(file), members })
    }

    /// Names of the wanted members.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.members.keys().map(String::as_str)
    }

    /// Declared size of a wanted member in bytes. None if there is no such member.
    pub(crate) fn size(&self, name: &str) -> Option<u64> {
        self.members.get(name).map(ZipFileEntry::size)
    }

    /// Whether all wanted members are stored uncompressed.
    pub(crate) fn all_stored(&self) -> bool {
        self.members.values().all(|entry| entry.compression() == Stored)
    }

    /// Passes a wanted member's bytes to `read`, at most its declared size.
    pub(crate) fn read<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&mut dyn Read) -> io::Result<T>,
    ) -> Result<T, String> {
        let result = match self.members.remove(name) {
            Some(entry) => read_exactly(entry, &mut self.file, read),
            None => Err(io::ErrorKind::NotFound.into()),
        };
        result.map_err(|error| format!("member {name:?}: {error}"))
    }
}

fn read_exactly<T>(
    entry: ZipFileEntry<'static>,
    file: &mut BufReader<File>,
    read: impl FnOnce(&mut dyn Read) -> io::Result<T>,
) -> io::Result<T> {
    let size = entry.size();
    // One more byte: reaching the end verifies the checksum, and shows a member that is too long.
    let mut bounded = entry.with_reader(file, ZipReadOptions::new())?.take(size.saturating_add(1));
    let result = read(&mut bounded)?;
    let longer = bounded.limit() == 0 || bounded.read(&mut [0])? > 0;
    if longer || bounded.limit() != 1 {
        let detail = format!("it does not have its declared size of {size} bytes");
        return Err(io::Error::new(io::ErrorKind::InvalidData, detail));
    }
    Ok(result)
}

/// Returns an error for members that neither Keras nor PyTorch writes.
fn check(name: &str, entry: &ZipFileEntry<'_>) -> Result<(), String> {
    let parts = name.strip_suffix('/').unwrap_or(name).split('/');
    let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
    if !parts.into_iter().all(plain) || name.contains(['\\', ':', '\0']) {
        return Err("its name leads out of the archive".to_owned());
    }
    if entry.is_symlink() {
        return Err("it is a link".to_owned());
    }
    if entry.encrypted() {
        return Err("it is encrypted".to_owned());
    }
    if !matches!(entry.compression(), Stored | Deflated) {
        return Err(format!("its compression is {:?}", entry.compression()));
    }
    let (size, stored) = (entry.size(), entry.compressed_size());
    if size > MAX_SMALL && size > stored.saturating_mul(MAX_EXPANSION) {
        return Err(format!("{stored} compressed bytes, which declare a size of {size} bytes"));
    }
    Ok(())
}
