//! Nucleus sampling: draws from the smallest set of tokens that exceeds a probability.

use gpt2_kernels::TokenChoice;
use gpt2_tokenizer::TokenId;
use serde::{Deserialize, Serialize};

use super::check::{check, check_count, check_temperature};
use super::sampler::Sampler;
use crate::error::TaskError;
use crate::generation::draw::Draw;
use crate::generation::probabilities::{token, top_k};

/// Number of tokens that are sorted at first: the nucleus is usually smaller.
const FIRST_SORTED: usize = 64;
/// Growth factor of the number of sorted tokens.
const SORTED_GROWTH: usize = 16;

/// Draws from the nucleus: the most probable tokens up to and including the first whose cumulative
/// probability exceeds `p` ([Holtzman et al., 2019](https://arxiv.org/abs/1904.09751);
/// `keras_hub/src/samplers/top_p_sampler.py`).
///
/// A token is kept if the sum *before* it is at most `p`. With `k`, only the `k` most probable
/// tokens are considered, but `p` still refers to the whole distribution.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct TopPSampler {
    /// Probability that the nucleus exceeds. Default: 0.1.
    pub p: f32,
    /// Largest number of tokens to keep. Default: all.
    pub k: Option<usize>,
    /// Divisor of the logits. Default: 1.
    pub temperature: f32,
    /// Seed of the random numbers. Default: a new one when the model is compiled.
    pub seed: Option<u64>,
}

impl Default for TopPSampler {
    fn default() -> Self {
        Self { p: 0.1, k: None, temperature: 1.0, seed: None }
    }
}

impl TopPSampler {
    /// Sampler with a nucleus of probability `p`.
    pub fn new(p: f32) -> Self {
        Self { p, ..Self::default() }
    }

    /// Sets the largest number of tokens to keep.
    #[must_use]
    pub fn with_k(mut self, k: usize) -> Self {
        self.k = Some(k);
        self
    }

    /// Sets the divisor of the logits.
    #[must_use]
    pub fn with_temperature(mut self, temperature: f32) -> Self {
        self.temperature = temperature;
        self
    }

    /// Sets the seed of the random numbers.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Nucleus of a distribution, the most probable token first.
    pub fn kept(&self, probabilities: &[f32]) -> Vec<TokenId> {
        let most = self.k.unwrap_or(probabilities.len()).min(probabilities.len());
        // With p = 1 everything is kept, whatever the sum rounds to.
        let mut sorted = if self.p < 1.0 { FIRST_SORTED.min(most) } else { most };
        loop {
            let kept = self.kept_of(top_k(probabilities, sorted), probabilities);
            if kept.len() < sorted || sorted == most {
                return kept.into_iter().map(token).collect();
            }
            sorted = (sorted * SORTED_GROWTH).min(most);
        }
    }

    /// Most probable tokens, up to and including the first at which the sum exceeds `p`.
    fn kept_of(&self, mut sorted: Vec<usize>, probabilities: &[f32]) -> Vec<usize> {
        let mut before = 0.0;
        let is_left_out = |&index: &usize| {
            let keep = before <= self.p || self.p >= 1.0;
            before += probabilities[index];
            !keep
        };
        sorted.truncate(sorted.iter().position(is_left_out).unwrap_or(sorted.len()));
        sorted
    }
}

impl Sampler for TopPSampler {
    fn get_next_token(&self, probabilities: &mut [f32], draw: &mut Draw) -> TokenId {
        let kept = self.kept(probabilities);
        let weights: Vec<f32> = kept.iter().map(|&token| probabilities[token as usize]).collect();
        kept[draw.categorical(&weights)]
    }

    fn choice(&self) -> Option<TokenChoice> {
        let Self { p, k, temperature, .. } = *self;
        Some(TokenChoice::TopP { p, k, temperature })
    }

    fn temperature(&self) -> f32 {
        self.temperature
    }

    fn seed(&self) -> Option<u64> {
        self.seed
    }

    fn validate(&self, vocabulary_size: usize) -> Result<(), TaskError> {
        let valid = self.p > 0.0 && self.p <= 1.0;
        check(valid, "top_p", "p", "above 0 and at most 1", self.p)?;
        if let Some(k) = self.k {
            check_count("top_p", "k", k, vocabulary_size)?;
        }
        check_temperature("top_p", self.temperature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generation::probabilities::softmax;

    /// Distributions with a nucleus of a few, hundreds, thousands or all tokens.
    #[test]
    fn what_is_kept_does_not_depend_on_how_many_are_sorted() {
        let mut kept_lengths = Vec::new();
        for scale in [1e-4, 1e-3, 4e-3, 2e-2, 1.0] {
            let logits = (0..20_000).map(|id| -((id * 7919 % 20_000) as f32) * scale);
            let mut probabilities: Vec<f32> = logits.collect();
            softmax(&mut probabilities, 1.0);
            for (p, k) in [(0.1, None), (0.9, None), (0.9, Some(300)), (0.999, None), (1.0, None)] {
                let sampler = TopPSampler { p, k, ..TopPSampler::default() };
                let sorted = top_k(&probabilities, k.unwrap_or(probabilities.len()));
                let expected = sampler.kept_of(sorted, &probabilities);
                let kept: Vec<usize> =
                    sampler.kept(&probabilities).into_iter().map(|token| token as usize).collect();
                assert_eq!(kept, expected, "scale {scale}, p {p}, k {k:?}");
                kept_lengths.push(kept.len());
            }
        }
        for range in [1..64, 65..1024, 1025..16_384, 16_385..20_001] {
            assert!(kept_lengths.iter().any(|length| range.contains(length)), "{kept_lengths:?}");
        }
    }
}
