//! Random numbers by index: a counter replaces the state.

/// Random number with this index under this key: SplitMix64 ([Steele et al.,
/// 2014](https://doi.org/10.1145/2714064.2660195)), whose state is computed from the index.
#[inline]
pub fn counted_random(key: u64, index: u64) -> u64 {
    let mut z = key.wrapping_add((index + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
