//! Scenarios: names and the work that each name means.

use anyhow::{bail, ensure};
use serde_json::{Value, json};

use super::size::{POSITIONS, Size};

/// Number of tokens after the first in a decoding scenario.
const STEPS: usize = 64;
/// Context of scenarios named by their sampler.
const CONTEXT: usize = 128;

/// Default scenarios on a CPU.
const ALL: &str = "prefill-128 prefill-512 decode-1-ctx8 decode-1-ctx128 decode-1-ctx900 \
    decode-8-ragged beam-5 contrastive-5 top-k-5 top-p train-2x256 train-4x512 train-1x1024 \
    train-2x256-lora train-4x512-lora train-1x1024-lora load first-token tokenizer tokenizer-batch";
/// Scenarios that show how cost grows with context, batch and, in training, length.
const GROWTH: &str = "decode-1-ctx8 decode-1-ctx128 decode-1-ctx256 decode-1-ctx512 \
    decode-1-ctx900 decode-2-ctx128 decode-4-ctx128 decode-8-ctx128 decode-16-ctx128 train-1x256 \
    train-1x512 train-1x1024";

/// Default scenarios on a GPU.
const GPU: &str = "prefill-128 prefill-512 decode-1-ctx8 decode-1-ctx128 decode-1-ctx900 \
    decode-8-ragged decode-32-ctx128 decode-128-ctx128 beam-5 contrastive-5 top-k-5 top-p \
    train-2x256 train-4x512 train-8x1024 train-8x1024-lora load first-token";

/// A name and its work.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    pub name: String,
    pub work: Work,
}

/// Work, which all runners are given as the same request.
#[derive(Debug, Clone, PartialEq)]
pub enum Work {
    /// Prompts of these lengths as one batch. With `steps` of 0 the time to the first token counts,
    /// else the time of each further step.
    Generate { lengths: Vec<usize>, steps: usize, search: Search },
    /// Steps of Adam on random tokens, with the config's dropout.
    Train { batch_size: usize, length: usize, lora: bool },
    /// From a folder to a model with its tokenizer, without imports.
    Load,
    /// From the start of a process to the first token after a sentence.
    FirstToken,
    /// Bytes of prose tokenized per second, as one text or as a batch.
    Tokenize { batch: bool },
}

/// Search, with the argument from the scenario's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Search {
    Greedy,
    Beam,
    Contrastive,
    TopK,
    TopP,
}

/// Quantity that a scenario measures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    pub name: &'static str,
    pub unit: &'static str,
    /// Units per second, or per byte.
    pub factor: f64,
    pub more_is_better: bool,
}

impl Scenario {
    /// Scenario with this name. Sizes are free in `prefill-N`, `decode-B-ctxN`, `train-BxN` and
    /// `train-BxN-lora`.
    fn parse(name: &str) -> anyhow::Result<Self> {
        let Some(work) = Work::parse(name) else {
            bail!(
                "unknown scenario `{name}`, expected one of {ALL}, or one of the forms prefill-N, \
                 decode-B-ctxN, train-BxN and train-BxN-lora, and the groups `all`, `growth` and `gpu`"
            );
        };
        ensure!(
            work.is_possible(),
            "the scenario `{name}` must have at least one row and token, and fit in the \
             {POSITIONS} positions of the model, with {STEPS} more tokens where it decodes"
        );
        Ok(Self { name: name.to_owned(), work })
    }

    /// Reason why a member of a group is left out at this size, unless it is named explicitly.
    pub fn left_out(&self, size: Size, names: &[String]) -> Option<&'static str> {
        let is_too_large = size == Size::Xl && matches!(self.work, Work::Train { .. });
        (is_too_large && !names.contains(&self.name)).then_some(
            "left out: weights, gradients and Adam's averages of XL are 25 GB, with activations \
             more than most devices have; name the scenario to try",
        )
    }

    /// Scenarios of some names and groups, each once. Default: the device's group.
    pub fn select(names: &[String], is_cpu: bool) -> anyhow::Result<Vec<Self>> {
        let group = [if is_cpu { "all" } else { "gpu" }];
        let mut scenarios: Vec<Self> = Vec::new();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        for name in if names.is_empty() { &group[..] } else { &names } {
            let members = match *name {
                "all" => ALL,
                "growth" => GROWTH,
                "gpu" => GPU,
                name => name,
            };
            for member in members.split_whitespace() {
                let scenario = Self::parse(member)?;
                if !scenarios.contains(&scenario) {
                    scenarios.push(scenario);
                }
            }
        }
        Ok(scenarios)
    }
}

impl Work {
    fn parse(name: &str) -> Option<Self> {
        let generate = |lengths, steps, search| Some(Self::Generate { lengths, steps, search });
        let sampled = |search| generate(vec![CONTEXT], STEPS, search);
        match name {
            "decode-8-ragged" => {
                generate((0..8).map(|row| CONTEXT - 2 * row).collect(), STEPS, Search::Greedy)
            }
            "beam-5" => sampled(Search::Beam),
            "contrastive-5" => sampled(Search::Contrastive),
            "top-k-5" => sampled(Search::TopK),
            "top-p" => sampled(Search::TopP),
            "load" => Some(Self::Load),
            "first-token" => Some(Self::FirstToken),
            "tokenizer" => Some(Self::Tokenize { batch: false }),
            "tokenizer-batch" => Some(Self::Tokenize { batch: true }),
            _ => {
                if let Some(length) = name.strip_prefix("prefill-") {
                    return generate(vec![length.parse().ok()?], 0, Search::Greedy);
                }
                if let Some(sizes) = name.strip_prefix("decode-") {
                    let (batch_size, length) = sizes.split_once("-ctx")?;
                    let (batch_size, length) = (batch_size.parse().ok()?, length.parse().ok()?);
                    // The rivals have no room for more rows. The list below has one length a row.
                    let rows = Some(batch_size).filter(|size| *size <= POSITIONS)?;
                    return generate(vec![length; rows], STEPS, Search::Greedy);
                }
                let sizes = name.strip_prefix("train-")?;
                let lora = sizes.ends_with("-lora");
                let (batch_size, length) = sizes.trim_end_matches("-lora").split_once('x')?;
                let (batch_size, length) = (batch_size.parse().ok()?, length.parse().ok()?);
                Some(Self::Train { batch_size, length, lora })
            }
        }
    }

    fn is_possible(&self) -> bool {
        match self {
            Self::Generate { lengths, steps, .. } => {
                !lengths.is_empty()
                    && lengths.iter().all(|length| (1..POSITIONS - steps).contains(length))
            }
            Self::Train { batch_size, length, .. } => {
                *batch_size > 0 && (1..=POSITIONS).contains(length)
            }
            _ => true,
        }
    }

    /// The request for a worker.
    pub fn request(&self) -> Value {
        match self {
            Self::Generate { lengths, steps, search } => json!({
                "task": "generate", "lengths": lengths, "steps": steps, "search": search.name(),
            }),
            Self::Train { batch_size, length, lora } => json!({
                "task": "train", "batch_size": batch_size, "length": length, "lora": lora,
            }),
            Self::Load => json!({"task": "load"}),
            Self::FirstToken => json!({"task": "first-token"}),
            Self::Tokenize { batch } => json!({"task": "tokenize", "batch": batch}),
        }
    }

    pub fn metric(&self) -> Metric {
        let time = |name, unit| Metric { name, unit, factor: 1e3, more_is_better: false };
        match self {
            Self::Generate { steps: 0, .. } => time("prefill", "ms"),
            Self::Generate { .. } => time("decode", "ms/step"),
            Self::Train { .. } => time("training", "ms/step"),
            Self::Load => time("load", "ms"),
            Self::FirstToken => time("first_token", "ms"),
            Self::Tokenize { .. } => {
                Metric { name: "throughput", unit: "MB/s", factor: 1e-6, more_is_better: true }
            }
        }
    }
}

impl Search {
    /// Name for the workers.
    fn name(self) -> &'static str {
        match self {
            Self::Greedy => "greedy",
            Self::Beam => "beam",
            Self::Contrastive => "contrastive",
            Self::TopK => "top_k",
            Self::TopP => "top_p",
        }
    }

    /// Rows of the model's batch for each prompt.
    pub fn branches(self) -> usize {
        match self {
            Self::Beam | Self::Contrastive => 5,
            Self::Greedy | Self::TopK | Self::TopP => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_their_sizes() {
        let work = |name: &str| Scenario::parse(name).unwrap().work;
        let generate = |lengths, steps| Work::Generate { lengths, steps, search: Search::Greedy };
        assert_eq!(work("prefill-7"), generate(vec![7], 0));
        assert_eq!(work("decode-3-ctx9"), generate(vec![9; 3], STEPS));
        let train = |lora| Work::Train { batch_size: 2, length: 256, lora };
        assert_eq!((work("train-2x256"), work("train-2x256-lora")), (train(false), train(true)));
        for name in ["decode", "decode-1-ctx1000", "decode-0-ctx8", "train-0x8", "prefill-0", "x"] {
            let message = Scenario::parse(name).unwrap_err().to_string();
            assert!(message.contains(&format!("`{name}`")), "{message}");
        }
    }

    #[test]
    fn groups_hold_scenarios_that_exist_each_once() {
        let select = |names: &[&str]| {
            let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
            Scenario::select(&names, true).unwrap()
        };
        assert_eq!(select(&[]), select(&["all"]));
        assert_eq!(Scenario::select(&[], false).unwrap(), select(&["gpu"]));
        assert_eq!(select(&["all", "load"]).len(), 20);
        assert_eq!(select(&["growth", "decode-1-ctx8"]).len(), 12);
    }

    #[test]
    fn the_largest_size_is_trained_only_where_that_is_asked_for() {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let train = Scenario::parse("train-2x256").unwrap();
        assert!(train.left_out(Size::Xl, &names(&["gpu"])).is_some());
        assert_eq!(train.left_out(Size::Xl, &names(&["gpu", "train-2x256"])), None);
        assert_eq!(train.left_out(Size::Large, &[]), None);
        assert_eq!(Scenario::parse("load").unwrap().left_out(Size::Xl, &[]), None);
    }
}
