//! Arithmetic on the distribution of the next token, in 32-bit floats as in KerasHub.

use gpt2_tokenizer::TokenId;

/// Number of partial sums or maxima: the compiler vectorizes them.
const LANES: usize = 16;
/// Exponent below which the exponential is 0 in 32-bit floats.
const LOWEST_EXPONENT: f32 = -104.0;
/// A logit further than this below the largest one has a smaller probability in spite of rounding:
/// 2^-20, against less than 2^-21 for the joint error of an exponential and a division.
const NEAR: f32 = 1.0 / (1 << 20) as f32;
/// Largest `k` for which [`top_k`] inserts values one by one instead of sorting.
const FEW: usize = 64;
/// Number of values that [`top_k`] tests at once for one among the best.
const BLOCK: usize = 64;

/// Turns logits into probabilities in place: `softmax(logits / temperature)`.
///
/// Subtracts the largest logit before the division, so that a tiny temperature gives 1 and 0 rather
/// than NaN.
pub fn softmax(logits: &mut [f32], temperature: f32) {
    let largest = largest(logits);
    let mut sums = [0.0; LANES];
    for block in logits.chunks_mut(LANES) {
        for (logit, sum) in block.iter_mut().zip(&mut sums) {
            *logit = exp_of_negative((*logit - largest) / temperature);
            *sum += *logit;
        }
    }
    let sum: f32 = sums.iter().sum();
    for probability in logits.iter_mut() {
        *probability /= sum;
    }
}

/// `exp(x)` for `x <= 0`, accurate to about one unit in the last place. The compiler can vectorize
/// it.
///
/// `x = n ln 2 + r` with an integer `n`, so `exp(x) = 2^n exp(r)`. A polynomial approximates
/// `exp(r)` for the small `r` (Cephes, `expf.c`). `ln 2` is subtracted in two parts. The first part
/// has so few digits that its product with `n` is exact.
#[inline]
fn exp_of_negative(x: f32) -> f32 {
    /// Adding this to a small number rounds the number to an integer.
    const ROUNDING: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 355.0 / 512.0;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    // This form keeps NaN.
    let x = if x < LOWEST_EXPONENT { LOWEST_EXPONENT } else { x };
    let shifted = x * std::f32::consts::LOG2_E + ROUNDING;
    let n = shifted - ROUNDING;
    let r = x - n * LN_2_HIGH - n * LN_2_LOW;
    let polynomial = 1.987_569_2e-4;
    let polynomial = polynomial * r + 1.398_199_9e-3;
    let polynomial = polynomial * r + 8.333_452e-3;
    let polynomial = polynomial * r + 4.166_579_6e-2;
    let polynomial = polynomial * r + 1.666_666_6e-1;
    let polynomial = polynomial * r + 0.5;
    let exp_of_r = polynomial * (r * r) + r + 1.0;
    // Two steps: only the second may leave the range of normal floats.
    let n = shifted.to_bits().wrapping_sub(ROUNDING.to_bits()).cast_signed();
    let power_of_2 = |n: i32| f32::from_bits(((n + 127) << 23).cast_unsigned());
    let half = n >> 1;
    exp_of_r * power_of_2(half) * power_of_2(n - half)
}

/// Maximum. NaNs are ignored.
fn largest(values: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for block in values.chunks(LANES) {
        for (lane, value) in lanes.iter_mut().zip(block) {
            *lane = larger(*lane, *value);
        }
    }
    lanes.into_iter().fold(f32::NEG_INFINITY, larger)
}

/// Index of the largest value; the first one of several.
pub fn argmax(values: &[f32]) -> usize {
    let mut best = 0;
    for (index, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = index;
        }
    }
    best
}

/// [`argmax`] of the probabilities that [`softmax`] makes of logits at temperature 1. It rarely
/// computes the probabilities.
///
/// Two logits can be so close that their probabilities are equal. The first one then wins, not the
/// larger one: KerasHub takes the largest probability. If the first logit near the largest is the
/// largest itself, it is the answer. Otherwise the probabilities decide.
pub(crate) fn argmax_of_softmax(logits: &mut [f32]) -> usize {
    let largest = largest(logits);
    match logits.iter().position(|logit| largest - logit <= NEAR) {
        Some(first) if logits[first] == largest => first,
        _ => {
            softmax(logits, 1.0);
            argmax(logits)
        }
    }
}

/// Indices of the `k` largest values, in descending order. Of equal values the first comes first.
///
/// # Panics
///
/// If there are 2^32 values or more.
pub fn top_k(values: &[f32], k: usize) -> Vec<usize> {
    let k = k.min(values.len());
    let places = if k <= FEW { best_places(values, k) } else { sorted_places(values, k) };
    places.into_iter().map(|place| place as u32 as usize).collect()
}

/// Sort key of a value: descending by [`f32::total_cmp`], then by index. The smallest key is the
/// best. The lower half is the index.
fn place(index: usize, value: f32) -> u64 {
    u64::from(descending(value)) << 32 | u64::from(token(index))
}

/// Key that is smaller for a larger value, in the order of [`f32::total_cmp`].
fn descending(value: f32) -> u32 {
    let bits = value.to_bits();
    let is_negative = (bits.cast_signed() >> 31).cast_unsigned();
    // The bits below the sign increase for negative numbers and decrease for others.
    bits ^ (!is_negative >> 1)
}

/// The `k` best keys, sorted, in one pass: most blocks contain none of them.
fn best_places(values: &[f32], k: usize) -> Vec<u64> {
    let mut best: Vec<u64> = Vec::with_capacity(k + 1);
    for (block, values) in values.chunks(BLOCK).enumerate() {
        if best.len() == k {
            let Some(last) = best.last() else { break };
            let limit = (last >> 32) as u32;
            if !values.iter().fold(false, |any, value| any | (descending(*value) < limit)) {
                continue;
            }
        }
        for (offset, value) in values.iter().enumerate() {
            let place = place(block * BLOCK + offset, *value);
            if best.len() < k || best.last().is_some_and(|last| place < *last) {
                best.insert(best.partition_point(|better| *better < place), place);
                best.truncate(k);
            }
        }
    }
    best
}

/// The `k` best keys, sorted, for any `k`.
fn sorted_places(values: &[f32], k: usize) -> Vec<u64> {
    let places = values.iter().enumerate();
    let mut places: Vec<u64> = places.map(|(index, value)| place(index, *value)).collect();
    if k < places.len() {
        places.select_nth_unstable(k);
        places.truncate(k);
    }
    places.sort_unstable();
    places
}

/// Index in the vocabulary as a token id.
pub(crate) fn token(index: usize) -> TokenId {
    TokenId::try_from(index).expect("a vocabulary has fewer than 2^32 tokens")
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn softmax_survives_any_temperature() {
        for (temperature, expected) in
            [(1.0, [0.090_030_57, 0.244_728_47, 0.665_240_94]), (1e-30, [0.0, 0.0, 1.0])]
        {
            let mut values = [1.0, 2.0, 3.0];
            softmax(&mut values, temperature);
            for (value, expected) in values.iter().zip(expected) {
                assert!((value - expected).abs() < 1e-6, "{values:?}");
            }
        }
    }

    /// All 32-bit floats from -110 to 0, or every 61st of them.
    fn negative_numbers() -> impl Iterator<Item = f32> {
        (0..=110.0_f32.to_bits()).step_by(61).map(|bits| -f32::from_bits(bits))
    }

    #[test]
    fn exp_is_exact_to_a_unit_in_the_last_place() {
        for x in negative_numbers() {
            let (found, exact) = (exp_of_negative(x), f64::from(x).exp());
            // Subnormal results are spaced like the smallest subnormal.
            let unit = (exact * f64::from(f32::EPSILON)).max(f64::from(f32::from_bits(1)));
            let error = (f64::from(found) - exact).abs() / unit;
            assert!(error < 1.0, "exp({x:?}) = {found:?}, not {exact:?}: {error}");
        }
        for (x, exact) in [
            (0.0, 1.0),
            (-0.0, 1.0),
            (-103.97, f32::from_bits(1)),
            (-104.0, 0.0),
            (f32::MIN, 0.0),
            (f32::NEG_INFINITY, 0.0),
        ] {
            assert_eq!(exp_of_negative(x), exact, "exp({x:?})");
        }
        assert!(exp_of_negative(f32::NAN).is_nan());
    }

    /// Logits whose differences, also divided by the temperature, are exact. The remaining error
    /// comes from sums of 3,142 numbers in 32-bit floats.
    #[test]
    fn softmax_is_accurate_over_a_vocabulary() {
        let logits: Vec<f32> = (0..50_257).map(|id| (id * 7919 % 50_257) as f32 / 4096.0).collect();
        let mut found = logits.clone();
        softmax(&mut found, 0.5);
        let exps = logits.iter().map(|logit| (f64::from(*logit) / 0.5).exp());
        let sum: f64 = exps.clone().sum();
        for (found, exact) in found.iter().zip(exps) {
            let error = f64::from(*found) / (exact / sum) - 1.0;
            assert!(error.abs() < 3e-6, "{found} is not {}", exact / sum);
        }
    }

    #[test]
    fn softmax_of_what_is_no_number_is_none() {
        for damaged in [f32::NAN, f32::INFINITY] {
            let mut values = vec![1.0; 40];
            values[20] = damaged;
            softmax(&mut values, 1.0);
            assert!(values[20].is_nan());
        }
        softmax(&mut [], 1.0);
    }

    /// Logits that differ by one or a few units in the last place; the largest is not the first.
    #[test]
    fn the_first_of_equal_probabilities_is_the_most_probable() {
        let mut rounded_together = 0;
        for (below, others) in (0..64).flat_map(|below| (0..16).map(move |others| (below, others)))
        {
            let largest = 0.9_f32;
            let near = f32::from_bits(largest.to_bits() - below);
            let mut logits = vec![-1.0, near, 0.2, largest];
            logits.extend((0..others).map(|other| other as f32 / 16.0));
            let mut probabilities = logits.clone();
            softmax(&mut probabilities, 1.0);
            let expected = argmax(&probabilities);
            rounded_together += usize::from(below > 0 && expected == 1);
            assert_eq!(argmax_of_softmax(&mut logits), expected, "{below} below, {others} others");
        }
        assert!(rounded_together > 0, "the case has to occur");
    }

    #[test]
    fn top_k_is_a_stable_sort() {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let special = [0.0, -0.0, f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e-45];
        for length in [0, 1, 63, 64, 65, 200, 1000] {
            let mut values: Vec<f32> =
                (0..length).map(|_| random.random_range(-20..20) as f32 / 4.0).collect();
            for order in ["drawn", "ascending", "descending", "special"] {
                match order {
                    "ascending" => values.sort_by(f32::total_cmp),
                    "descending" => values.reverse(),
                    "special" => values.iter_mut().zip(special).for_each(|(old, new)| *old = new),
                    _ => {}
                }
                let mut expected: Vec<usize> = (0..length).collect();
                expected.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
                for k in [0, 1, 2, 5, 63, 64, 65, 128, 999, 1000, 2000] {
                    let kept = k.min(length);
                    assert_eq!(top_k(&values, k), expected[..kept], "{order} {length}: {k}");
                }
            }
        }
    }

    #[test]
    fn ties_go_to_the_first() {
        assert_eq!(argmax(&[1.0, 3.0, 3.0]), 1);
        assert_eq!(top_k(&[2.0, 3.0, 1.0, 3.0, 2.0], 4), [1, 3, 0, 4]);
        assert_eq!(top_k(&[1.0, 2.0], 5), [1, 0]);
    }
}
