//! Part of stage 6: a quick hash of short keys, under secret keys so that no text is made to collide.
//!
//! The standard library's takes longer than the rest of a look-up. This one multiplies to 128 bits and
//! folds the halves together, as `foldhash` and wyhash do.

use std::hash::{BuildHasher, Hasher, RandomState};

/// Makes hashers under two secret keys.
#[derive(Debug, Clone)]
pub(crate) struct WordHash {
    keys: [u64; 2],
}

impl Default for WordHash {
    fn default() -> Self {
        let secret = RandomState::new();
        Self { keys: [0, 1].map(|index: u64| secret.hash_one(index)) }
    }
}

impl BuildHasher for WordHash {
    type Hasher = WordHasher;

    fn build_hasher(&self) -> WordHasher {
        WordHasher { state: self.keys[0], key: self.keys[1] }
    }
}

/// Folds eight bytes at a time into 64 bits.
pub(crate) struct WordHasher {
    state: u64,
    key: u64,
}

impl Hasher for WordHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (blocks, rest) = bytes.as_chunks::<8>();
        for block in blocks {
            self.write_u64(u64::from_le_bytes(*block));
        }
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            self.write_u64(u64::from_le_bytes(last));
        }
    }

    fn write_u64(&mut self, block: u64) {
        let product = u128::from(self.state ^ block) * u128::from(self.key);
        self.state = product as u64 ^ (product >> 64) as u64;
    }

    fn write_usize(&mut self, length: usize) {
        self.state ^= length as u64;
    }

    fn finish(&self) -> u64 {
        self.state
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_byte_the_length_and_the_keys_matter() {
        let hash = WordHash::default();
        let words =
            [&b""[..], b"\0", b"\0\0", b"a", b"a\0", b"12345678", b"123456780", b"012345678"];
        let hashes: HashSet<u64> = words.iter().map(|word| hash.hash_one(word)).collect();
        assert_eq!(hashes.len(), words.len());
        assert_eq!(hash.hash_one(b"word"), hash.hash_one(b"word"));
        assert_ne!(hash.hash_one(b"word"), WordHash::default().hash_one(b"word"));
    }

    /// A table looks at the lowest bits first: of 2^16 keys some 41,427 differ in 16 bits if drawn.
    #[test]
    fn the_lowest_bits_of_counted_keys_differ() {
        let hash = WordHash::default();
        for shift in [0, 16, 48] {
            let low: HashSet<u16> =
                (0..1_u64 << 16).map(|key| hash.hash_one([key << shift, 0]) as u16).collect();
            assert!(low.len() > 35_000, "shift {shift}: {}", low.len());
        }
    }
}
