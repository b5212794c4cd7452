//! Samplers by name, with their arguments, as text and as data.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::beam::BeamSampler;
use super::contrastive::ContrastiveSampler;
use super::greedy::GreedySampler;
use super::random::RandomSampler;
use super::sampler::SearchStrategy;
use super::top_k::TopKSampler;
use super::top_p::TopPSampler;
use crate::choice_text::ChoiceText;
use crate::error::TaskError;

/// Any of the built-in samplers, to store, print and parse.
///
/// As text: the name, then the arguments, such as `greedy` or `top_k:k=5,temperature=0.7`.
///
/// ```
/// use gpt2_task::samplers::{SamplerConfig, TopKSampler};
///
/// let parsed: SamplerConfig = "top_k:k=3,seed=7".parse()?;
/// assert_eq!(parsed, SamplerConfig::TopK(TopKSampler::new(3).with_seed(7)));
/// assert!("top_k:q=3".parse::<SamplerConfig>().is_err());
/// # Ok::<(), gpt2_task::TaskError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
#[non_exhaustive]
pub enum SamplerConfig {
    /// `beam`: `num_beams`, `return_all_beams`, `temperature`, `ragged`.
    Beam(BeamSampler),
    /// `contrastive`: `k`, `alpha`, `temperature`.
    Contrastive(ContrastiveSampler),
    /// `greedy`: no arguments.
    Greedy(GreedySampler),
    /// `random`: `temperature`, `seed`.
    Random(RandomSampler),
    /// `top_k`: `k`, `temperature`, `seed`.
    TopK(TopKSampler),
    /// `top_p`: `p`, `k`, `temperature`, `seed`.
    TopP(TopPSampler),
}

/// Names of [`SamplerConfig`], sorted.
pub(crate) const NAMES: [&str; 6] = ["beam", "contrastive", "greedy", "random", "top_k", "top_p"];

/// Parses a sampler, like `keras_hub.samplers.get`.
///
/// # Errors
///
/// [`TaskError::InvalidChoice`] for an unknown name or argument.
pub fn get(identifier: &str) -> Result<Box<dyn SearchStrategy>, TaskError> {
    Ok(identifier.parse::<SamplerConfig>()?.build())
}

impl SamplerConfig {
    /// Makes the sampler.
    pub fn build(self) -> Box<dyn SearchStrategy> {
        match self {
            Self::Beam(sampler) => Box::new(sampler),
            Self::Contrastive(sampler) => Box::new(sampler),
            Self::Greedy(sampler) => Box::new(sampler),
            Self::Random(sampler) => Box::new(sampler),
            Self::TopK(sampler) => Box::new(sampler),
            Self::TopP(sampler) => Box::new(sampler),
        }
    }

    /// Sets the seed of a sampler that draws random numbers, unless it has one.
    #[must_use]
    pub fn with_default_seed(mut self, seed: u64) -> Self {
        let slot = match &mut self {
            Self::Random(sampler) => &mut sampler.seed,
            Self::TopK(sampler) => &mut sampler.seed,
            Self::TopP(sampler) => &mut sampler.seed,
            Self::Beam(_) | Self::Contrastive(_) | Self::Greedy(_) => return self,
        };
        slot.get_or_insert(seed);
        self
    }
}

impl FromStr for SamplerConfig {
    type Err = TaskError;

    fn from_str(identifier: &str) -> Result<Self, TaskError> {
        let mut text = ChoiceText::parse("sampler", identifier)?;
        match text.name() {
            "beam" => text.read(&[]).map(Self::Beam),
            "contrastive" => text.read(&[]).map(Self::Contrastive),
            "greedy" => text.read(&[]).map(Self::Greedy),
            "random" => text.read(&[]).map(Self::Random),
            "top_k" => text.read(&[]).map(Self::TopK),
            "top_p" => text.read(&[]).map(Self::TopP),
            _ => Err(text.unknown_name(&NAMES)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_argument_can_be_given_as_text() {
        let parse = |text: &str| text.parse::<SamplerConfig>().unwrap();
        let beam = BeamSampler::new(3).with_return_all_beams(true).with_temperature(0.5);
        let beam = beam.with_ragged(super::super::RaggedBeams::Independent);
        let text = "beam:num_beams=3,return_all_beams=true,temperature=0.5,ragged=independent";
        assert_eq!(parse(text), SamplerConfig::Beam(beam));
        let top_p = TopPSampler::new(0.9).with_k(1000).with_temperature(0.7).with_seed(1);
        let text = "top_p: p = 0.9, k=1000,temperature=0.7,seed=1";
        assert_eq!(parse(text), SamplerConfig::TopP(top_p));
        let contrastive = ContrastiveSampler::new(4, 0.2);
        assert_eq!(parse("contrastive:k=4,alpha=0.2"), SamplerConfig::Contrastive(contrastive));
        assert_eq!(parse("greedy"), SamplerConfig::Greedy(GreedySampler::new()));
        let random = RandomSampler::new().with_temperature(2.0);
        assert_eq!(parse("random:temperature=2"), SamplerConfig::Random(random));
        assert_eq!(parse("top_k"), SamplerConfig::TopK(TopKSampler::new(5)));
        assert_eq!(parse("top_k:seed=none"), SamplerConfig::TopK(TopKSampler::new(5)));
    }

    #[test]
    fn mistakes_name_what_exists() {
        for (text, expected) in [
            (
                "Greedy",
                "expected one of `beam`, `contrastive`, `greedy`, `random`, `top_k`, `top_p`",
            ),
            ("speculative", "sampler `speculative`: unknown name"),
            ("", "sampler ``: unknown name"),
            ("greedy:k=1", "sampler `greedy`: unknown argument `k`, expected none"),
            ("top_k:q=3", "unknown argument `q`, expected one of `k`, `temperature`, `seed`"),
            ("top_k:k=-1", "sampler `top_k`: `k` must be a whole number from 0, found -1"),
            ("top_k:k=x", "`k` must be a whole number from 0, found x"),
            ("top_k:k=2.5", "`k` must be a whole number from 0, found 2.5"),
            ("top_k:seed=-1", "`seed` must be a whole number from 0, found -1"),
            ("beam:return_all_beams=1", "`return_all_beams` must be true or false, found 1"),
            ("beam:ragged=x", "`ragged` must be one of `"),
            ("top_k:k", "`k` is not of the form `name=value`"),
            ("top_k:k=1,k=2", "`k` is given twice"),
            ("top_k:name=beam", "unknown argument `name`"),
            ("top_p:p=NaN", "`p` must be a number, found NaN"),
        ] {
            let message = text.parse::<SamplerConfig>().unwrap_err().to_string();
            assert!(message.contains(expected), "{text}: {message}");
        }
    }

    #[test]
    fn configs_round_trip_as_data() {
        let config = SamplerConfig::TopK(TopKSampler::new(7).with_seed(42));
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<SamplerConfig>(&json).unwrap(), config);
        let short: SamplerConfig = serde_json::from_str(r#"{"name":"top_k","k":7}"#).unwrap();
        assert_eq!(short.with_default_seed(42), config);
        assert_eq!(config.clone().with_default_seed(1), config);
    }
}
