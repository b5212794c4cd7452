//! Draws from the most probable tokens.

use gpt2_kernels::TokenChoice;
use gpt2_tokenizer::TokenId;
use serde::{Deserialize, Serialize};

use super::check::{check_count, check_temperature};
use super::sampler::Sampler;
use crate::error::TaskError;
use crate::generation::draw::Draw;
use crate::generation::probabilities::{token, top_k};

/// Draws from the `k` most probable tokens ([Fan et al., 2018](https://arxiv.org/abs/1805.04833);
/// `keras_hub/src/samplers/top_k_sampler.py`).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct TopKSampler {
    /// Number of tokens to draw from. Default: 5.
    pub k: usize,
    /// Divisor of the logits. Default: 1.
    pub temperature: f32,
    /// Seed of the random numbers. Default: a new one when the model is compiled.
    pub seed: Option<u64>,
}

impl Default for TopKSampler {
    fn default() -> Self {
        Self { k: 5, temperature: 1.0, seed: None }
    }
}

impl TopKSampler {
    /// Sampler of the `k` most probable tokens.
    pub fn new(k: usize) -> Self {
        Self { k, ..Self::default() }
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
}

impl Sampler for TopKSampler {
    fn get_next_token(&self, probabilities: &mut [f32], draw: &mut Draw) -> TokenId {
        let kept = top_k(probabilities, self.k);
        let weights: Vec<f32> = kept.iter().map(|&index| probabilities[index]).collect();
        token(kept[draw.categorical(&weights)])
    }

    fn choice(&self) -> Option<TokenChoice> {
        Some(TokenChoice::TopK { k: self.k, temperature: self.temperature })
    }

    fn temperature(&self) -> f32 {
        self.temperature
    }

    fn seed(&self) -> Option<u64> {
        self.seed
    }

    fn validate(&self, vocabulary_size: usize) -> Result<(), TaskError> {
        check_count("top_k", "k", self.k, vocabulary_size)?;
        check_temperature("top_k", self.temperature)
    }
}
