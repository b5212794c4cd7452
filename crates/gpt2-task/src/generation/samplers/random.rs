//! Draws from the whole distribution.

use gpt2_kernels::TokenChoice;
use gpt2_tokenizer::TokenId;
use serde::{Deserialize, Serialize};

use super::check::check_temperature;
use super::sampler::Sampler;
use crate::error::TaskError;
use crate::generation::draw::Draw;
use crate::generation::probabilities::token;

/// Draws from the whole distribution (`keras_hub/src/samplers/random_sampler.py`).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RandomSampler {
    /// Divisor of the logits. Default: 1.
    pub temperature: f32,
    /// Seed of the random numbers. Default: a new one when the model is compiled.
    pub seed: Option<u64>,
}

impl Default for RandomSampler {
    fn default() -> Self {
        Self { temperature: 1.0, seed: None }
    }
}

impl RandomSampler {
    /// KerasHub's defaults.
    pub fn new() -> Self {
        Self::default()
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

impl Sampler for RandomSampler {
    fn get_next_token(&self, probabilities: &mut [f32], draw: &mut Draw) -> TokenId {
        token(draw.categorical(probabilities))
    }

    fn choice(&self) -> Option<TokenChoice> {
        Some(TokenChoice::Random { temperature: self.temperature })
    }

    fn temperature(&self) -> f32 {
        self.temperature
    }

    fn seed(&self) -> Option<u64> {
        self.seed
    }

    fn validate(&self, _vocabulary_size: usize) -> Result<(), TaskError> {
        check_temperature("random", self.temperature)
    }
}
