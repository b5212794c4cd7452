//! Always the most probable token.

use gpt2_kernels::TokenChoice;
use gpt2_tokenizer::TokenId;
use serde::{Deserialize, Serialize};

use super::sampler::Sampler;
use crate::generation::draw::Draw;
use crate::generation::probabilities::{argmax, argmax_of_softmax, token};

/// Chooses the most probable token, of several the first (`keras_hub/src/samplers/greedy_sampler.py`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "NoArguments")]
pub struct GreedySampler;

/// A unit struct would name no field that it does not know.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoArguments {}

impl From<NoArguments> for GreedySampler {
    fn from(NoArguments {}: NoArguments) -> Self {
        Self
    }
}

impl GreedySampler {
    /// The sampler; it has no arguments.
    pub fn new() -> Self {
        Self
    }
}

impl Sampler for GreedySampler {
    fn get_next_token(&mut self, probabilities: &mut [f32], _draw: &mut Draw) -> TokenId {
        token(argmax(probabilities))
    }

    fn get_next_token_of_logits(&mut self, logits: &mut [f32], _draw: &mut Draw) -> TokenId {
        token(argmax_of_softmax(logits))
    }

    fn choice(&self) -> Option<TokenChoice> {
        Some(TokenChoice::Greedy)
    }
}
