//! Digests of files.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;

use gpt2_files::read_error;
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use crate::error::HubError;

/// Expected digest of a file, in lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Digest {
    Sha256(String),
    /// Git object id of a file: SHA-1 of `blob SIZE\0` and the content.
    GitSha1(String),
    Md5(String),
    /// CRC-32C (Castagnoli). Google's storage gives it for files sent in parts, which have no MD5.
    Crc32c(String),
}

impl Digest {
    /// Checks the file at a path. `display` is its name in messages.
    pub(crate) fn check(&self, path: &Path, display: &str) -> Result<(), HubError> {
        self.check_open(&File::open(path).map_err(read_error(path))?, path, display)
    }

    /// Checks an open file, from its beginning.
    pub(crate) fn check_open(
        &self,
        file: &File,
        path: &Path,
        display: &str,
    ) -> Result<(), HubError> {
        let (algorithm, expected, found) = match self {
            Self::Sha256(expected) => ("SHA-256", expected, hash(file, Sha256::new())),
            Self::Md5(expected) => ("MD5", expected, hash(file, Md5::new())),
            Self::Crc32c(expected) => ("CRC-32C", expected, crc32c(file)),
            Self::GitSha1(expected) => {
                let size = file.metadata().map_err(read_error(path))?.len();
                let header = Sha1::new_with_prefix(format!("blob {size}\0"));
                ("SHA-1 of git", expected, hash(file, header))
            }
        };
        let found = found.map_err(read_error(path))?;
        if *expected == found {
            return Ok(());
        }
        let (file, expected) = (display.to_owned(), expected.clone());
        Err(HubError::ChecksumMismatch { file, algorithm, expected, found })
    }
}

/// Whether a text consists of exactly `digits` lower-case hexadecimal digits.
pub(crate) fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Digest of a file, from its beginning.
fn hash(mut file: &File, hasher: impl sha2::Digest) -> io::Result<String> {
    file.rewind()?;
    hash_rest(file, hasher)
}

/// Digest of the remaining bytes of a reader, in hexadecimal digits.
pub(crate) fn hash_rest(reader: impl Read, mut hasher: impl sha2::Digest) -> io::Result<String> {
    read(reader, |bytes| hasher.update(bytes))?;
    Ok(hex(&hasher.finalize()))
}

fn crc32c(mut file: &File) -> io::Result<String> {
    file.rewind()?;
    let mut crc = u32::MAX;
    read(file, |bytes| {
        for byte in bytes {
            crc = crc >> 8 ^ CRC32C_OF_BYTE[usize::from(crc as u8 ^ byte)];
        }
    })?;
    Ok(format!("{:08x}", !crc))
}

/// CRC of each byte, for the polynomial 0x1edc6f41, lowest bit first (RFC 3720, appendix B.4).
const CRC32C_OF_BYTE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < table.len() {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

fn read(mut reader: impl Read, mut update: impl FnMut(&[u8])) -> io::Result<()> {
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(()),
            count => update(&buffer[..count]),
        }
    }
}
