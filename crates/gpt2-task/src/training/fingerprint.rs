//! Numbers that tell data apart: FNV-1a of 64 bits ([RFC 9923](https://www.rfc-editor.org/rfc/rfc9923)),
//! the same on every machine, in every process and in every version.

const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0100_0000_01b3;

/// A fingerprint of data, byte by byte. It guards against mistakes, not against an adversary.
///
/// ```
/// use gpt2_task::Fingerprint;
///
/// let of = |fields: [&str; 2]| {
///     fields.iter().fold(Fingerprint::new(), |print, field| print.with(field.as_bytes())).finish()
/// };
/// assert_ne!(of(["ab", "c"]), of(["a", "bc"]));
/// ```
#[derive(Debug, Clone)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// The fingerprint of nothing.
    pub fn new() -> Self {
        Self(OFFSET_BASIS)
    }

    /// Adds a field and its length, so that fields cannot run into one another.
    #[must_use]
    pub fn with(self, field: &[u8]) -> Self {
        self.with_number(field.len() as u64).with_bytes(field.iter().copied())
    }

    /// Adds a number.
    #[must_use]
    pub fn with_number(self, number: u64) -> Self {
        self.with_bytes(number.to_le_bytes())
    }

    /// Adds bytes, without their number.
    #[must_use]
    pub fn with_bytes(self, bytes: impl IntoIterator<Item = u8>) -> Self {
        let add = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME);
        Self(bytes.into_iter().fold(self.0, add))
    }

    /// The number.
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
