//! Arithmetic on the distribution of one next token, in 32-bit floats as KerasHub does it.

use gpt2_tokenizer::TokenId;

/// Turns logits into probabilities, `softmax(logits / temperature)`, in place.
///
/// The largest logit is subtracted before the division, so a tiny temperature gives 1 and 0
/// rather than NaN.
pub fn softmax(logits: &mut [f32], temperature: f32) {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for logit in logits.iter_mut() {
        *logit = ((*logit - largest) / temperature).exp();
        sum += *logit;
    }
    for probability in logits.iter_mut() {
        *probability /= sum;
    }
}

/// The index of the largest value; of several, the first.
pub fn argmax(values: &[f32]) -> usize {
    let mut best = 0;
    for (index, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = index;
        }
    }
    best
}

/// The indices of the `k` largest values, in descending order; of equal values the first comes first.
pub fn top_k(values: &[f32], k: usize) -> Vec<usize> {
    let k = k.min(values.len());
    let mut indices: Vec<usize> = (0..values.len()).collect();
    let descending = |&a: &usize, &b: &usize| values[b].total_cmp(&values[a]).then(a.cmp(&b));
    if k < indices.len() {
        indices.select_nth_unstable_by(k, descending);
        indices.truncate(k);
    }
    indices.sort_unstable_by(descending);
    indices
}

/// An index of the vocabulary as a token id.
pub(crate) fn token(index: usize) -> TokenId {
    TokenId::try_from(index).expect("a vocabulary has fewer than 2^32 tokens")
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn ties_go_to_the_first() {
        assert_eq!(argmax(&[1.0, 3.0, 3.0]), 1);
        assert_eq!(top_k(&[2.0, 3.0, 1.0, 3.0, 2.0], 4), [1, 3, 0, 4]);
        assert_eq!(top_k(&[1.0, 2.0], 5), [1, 0]);
    }
}
