//! `Fingerprint`: a hash that identifies data.

const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0100_0000_01b3;

/// 64-bit FNV-1a hash ([RFC 9923](https://www.rfc-editor.org/rfc/rfc9923)) of the fields added so
/// far.
///
/// The hash is the same on every machine and in every version, so files can store it. It detects
/// mistakes, not attacks.
///
/// ```
/// use gpt2_task::Fingerprint;
///
/// let of = |fields: [&[u8]; 2]| Fingerprint::new().with(fields[0]).with(fields[1]).finish();
/// assert_ne!(of([b"ab", b"c"]), of([b"a", b"bc"]));
/// ```
#[derive(Debug, Clone)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// Fingerprint of no fields.
    #[must_use]
    pub fn new() -> Self {
        Self(OFFSET_BASIS)
    }

    /// Adds the field's length and the field, so that adjacent fields cannot be confused.
    #[must_use]
    pub fn with(self, field: &[u8]) -> Self {
        self.with_number(field.len() as u64).with_bytes(field.iter().copied())
    }

    /// Adds a number.
    #[must_use]
    pub fn with_number(self, number: u64) -> Self {
        self.with_bytes(number.to_le_bytes())
    }

    /// Adds bytes without their length. The caller separates fields.
    #[must_use]
    pub fn with_bytes(self, bytes: impl IntoIterator<Item = u8>) -> Self {
        let add = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME);
        Self(bytes.into_iter().fold(self.0, add))
    }

    /// Returns the hash.
    #[must_use]
    pub fn finish(&self) -> u64 {
        self.0
    }
}

impl Default for Fingerprint {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_fnv_1a() {
        // From the test vectors of the algorithm's authors.
        assert_eq!(Fingerprint::new().with_bytes(*b"foobar").finish(), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn fields_do_not_run_into_one_another() {
        let of = |fields: [&[u8]; 2]| Fingerprint::new().with(fields[0]).with(fields[1]).finish();
        assert_ne!(of([b"ab", b"c"]), of([b"a", b"bc"]));
    }
}
