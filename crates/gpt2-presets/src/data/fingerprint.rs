//! A number that tells data apart: FNV-1a of 64 bits, the same on every machine and in every
//! version.
//!
//! It guards against mistakes, not against an adversary.

const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0100_0000_01b3;

/// A fingerprint in the making.
#[derive(Debug, Clone)]
pub(crate) struct Fingerprint(u64);

impl Fingerprint {
    pub(crate) fn new() -> Self {
        Self(OFFSET_BASIS)
    }

    /// Adds a field; its length is added too, so that fields cannot run into one another.
    #[must_use]
    pub(crate) fn with(self, field: &[u8]) -> Self {
        self.with_number(field.len() as u64).with_bytes(field)
    }

    /// Adds a number.
    #[must_use]
    pub(crate) fn with_number(self, number: u64) -> Self {
        self.with_bytes(&number.to_le_bytes())
    }

    pub(crate) fn finish(&self) -> u64 {
        self.0
    }

    fn with_bytes(self, bytes: &[u8]) -> Self {
        Self(bytes.iter().fold(self.0, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_fnv_1a() {
        // From the test vectors of the algorithm's authors.
        assert_eq!(Fingerprint::new().with_bytes(b"foobar").finish(), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn fields_do_not_run_into_one_another() {
        let of = |fields: [&[u8]; 2]| Fingerprint::new().with(fields[0]).with(fields[1]).finish();
        assert_ne!(of([b"ab", b"c"]), of([b"a", b"bc"]));
    }
}
