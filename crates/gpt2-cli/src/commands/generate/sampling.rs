//! Options of sampling.

use anyhow::bail;
use clap_complete::ArgValueCandidates;
use gpt2_task::samplers::{GreedySampler, SamplerConfig, TopKSampler, TopPSampler};

use crate::commands::completions::sampler_names;
use crate::values::{Sampler, parse_sampler};

/// Options of sampling.
#[derive(clap::Args)]
#[command(next_help_heading = "Sampling")]
#[group(skip)]
pub(super) struct Arguments {
    /// Sample by beam, contrastive, greedy, random, top_k or top_p, with arguments as in
    /// `top_p:p=0.9,k=1000` [default: top_k]
    #[arg(long, value_name = "SAMPLER", value_parser = parse_sampler, add = ArgValueCandidates::new(sampler_names))]
    sampler: Option<Sampler>,
    /// Divide logits by X: below 1 favours likely tokens, 0 takes only the likeliest
    #[arg(long, value_name = "X")]
    temperature: Option<f32>,
    /// Sample from the K likeliest tokens
    #[arg(long, value_name = "K")]
    top_k: Option<usize>,
    /// Sample from the likeliest tokens whose probabilities add up to P
    #[arg(long, value_name = "P")]
    top_p: Option<f32>,
    /// Make random samplers reproducible
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

impl Arguments {
    /// Sampler that all options describe together.
    pub(super) fn sampler(&self) -> anyhow::Result<SamplerConfig> {
        let mut config = match &self.sampler {
            Some(Sampler { config, .. }) => config.clone(),
            None => self.implied(),
        };
        if self.sampler.is_some() {
            self.complete(&mut config)?;
        }
        Ok(match self.seed {
            Some(seed) => config.with_default_seed(seed),
            None => config,
        })
    }

    /// Default sampler without `--sampler`.
    fn implied(&self) -> SamplerConfig {
        let temperature = self.temperature.unwrap_or(1.0);
        let is_greedy = temperature == 0.0 && self.top_k.is_none() && self.top_p.is_none();
        match (self.top_p, self.top_k) {
            _ if is_greedy => SamplerConfig::Greedy(GreedySampler::new()),
            (Some(p), k) => {
                let mut sampler = TopPSampler::new(p).with_temperature(temperature);
                sampler.k = k;
                SamplerConfig::TopP(sampler)
            }
            (None, k) => {
                let k = k.unwrap_or(TopKSampler::default().k);
                SamplerConfig::TopK(TopKSampler::new(k).with_temperature(temperature))
            }
        }
    }

    /// Adds the separate options to the sampler of `--sampler`.
    fn complete(&self, config: &mut SamplerConfig) -> anyhow::Result<()> {
        use SamplerConfig::{Beam, Contrastive, Random, TopK, TopP};
        if let Some(given) = self.temperature {
            self.refuse_twice("--temperature", "temperature")?;
            match config {
                Beam(sampler) => sampler.temperature = given,
                Contrastive(sampler) => sampler.temperature = given,
                Random(sampler) => sampler.temperature = given,
                TopK(sampler) => sampler.temperature = given,
                TopP(sampler) => sampler.temperature = given,
                _ => return self.does_not_fit("--temperature"),
            }
        }
        if let Some(given) = self.top_k {
            self.refuse_twice("--top-k", "k")?;
            match config {
                Contrastive(sampler) => sampler.k = given,
                TopK(sampler) => sampler.k = given,
                TopP(sampler) => sampler.k = Some(given),
                _ => return self.does_not_fit("--top-k"),
            }
        }
        if let Some(given) = self.top_p {
            self.refuse_twice("--top-p", "p")?;
            match config {
                TopP(sampler) => sampler.p = given,
                _ => return self.does_not_fit("--top-p"),
            }
        }
        Ok(())
    }

    fn refuse_twice(&self, flag: &str, argument: &str) -> anyhow::Result<()> {
        let given = self.sampler.as_ref();
        if given.is_some_and(|sampler| sampler.arguments.iter().any(|name| name == argument)) {
            bail!("`{argument}` is given twice: by {flag} and by --sampler");
        }
        Ok(())
    }

    fn does_not_fit(&self, flag: &str) -> anyhow::Result<()> {
        let name = self.sampler.as_ref().map_or("", |sampler| &sampler.name);
        bail!("{flag} does not fit --sampler {name}; leave one of them out")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampler(named: Option<&str>, rest: [Option<f32>; 3]) -> anyhow::Result<SamplerConfig> {
        let [temperature, top_k, top_p] = rest;
        let sampler = named.map(|text| parse_sampler(text).unwrap());
        let top_k = top_k.map(|k| k as usize);
        Arguments { sampler, temperature, top_k, top_p, seed: None }.sampler()
    }

    #[test]
    fn single_options_make_a_sampler() {
        let parse = |text: &str| text.parse::<SamplerConfig>().unwrap();
        for (rest, expected) in [
            ([None, None, None], "top_k"),
            ([Some(0.5), None, None], "top_k:temperature=0.5"),
            ([None, Some(9.0), None], "top_k:k=9"),
            ([None, None, Some(0.5)], "top_p:p=0.5"),
            ([Some(0.5), Some(9.0), Some(0.5)], "top_p:p=0.5,k=9,temperature=0.5"),
            ([Some(0.0), None, None], "greedy"),
        ] {
            assert_eq!(sampler(None, rest).unwrap(), parse(expected), "{expected}");
        }
        let found = sampler(Some("Top-P:k=3"), [Some(0.5), None, Some(0.25)]).unwrap();
        assert_eq!(found, parse("top_p:p=0.25,k=3,temperature=0.5"));
    }

    #[test]
    fn options_that_contradict_the_sampler_are_refused() {
        for (named, rest, expected) in [
            ("greedy", [Some(0.5), None, None], "--temperature does not fit --sampler greedy"),
            ("beam", [None, Some(3.0), None], "--top-k does not fit"),
            ("top_k", [None, None, Some(0.5)], "--top-p does not fit"),
            ("top_k:k=3", [None, Some(3.0), None], "given twice: by --top-k"),
        ] {
            let message = sampler(Some(named), rest).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
