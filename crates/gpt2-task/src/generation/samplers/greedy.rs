//! Greedy search: the most probable token.

use gpt2_kernels::TokenChoice;
use gpt2_tokenizer::TokenId;
use serde::{Deserialize, Serialize};

use super::sampler::Sampler;
use crate::generation::draw::Draw;
use crate::generation::probabilities::{argmax, argmax_of_softmax, token};

/// Chooses the most probable token, the first of several
/// (`keras_hub/src/samplers/greedy_sampler.py`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "NoArguments", into = "NoArguments")]
pub struct GreedySampler;

/// A map without entries. A unit struct would not name an unknown field in its error.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NoArguments {}

impl From<NoArguments> for GreedySampler {
    fn from(NoArguments {}: NoArguments) -> Self {
        Self
    }
}

impl From<GreedySampler> for NoArguments {
    fn from(GreedySampler: GreedySampler) -> Self {
        Self {}
    }
}

impl GreedySampler {
    /// Sampler without arguments.
    pub fn new() -> Self {
        Self
    }
}

impl Sampler for GreedySampler {
    fn get_next_token(&self, probabilities: &mut [f32], _draw: &mut Draw) -> TokenId {
        token(argmax(probabilities))
    }

    fn get_next_token_of_logits(&self, logits: &mut [f32], _draw: &mut Draw) -> TokenId {
        token(argmax_of_softmax(logits))
    }

    fn choice(&self) -> Option<TokenChoice> {
        Some(TokenChoice::Greedy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_stored_as_a_map_without_entries() {
        let stored = serde_json::to_string(&GreedySampler).unwrap();
        assert_eq!(stored, "{}");
        assert_eq!(serde_json::from_str::<GreedySampler>(&stored).unwrap(), GreedySampler);
        assert!(serde_json::from_str::<GreedySampler>(r#"{"k":1}"#).is_err());
    }
}
