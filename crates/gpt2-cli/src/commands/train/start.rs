//! Model to train: a preset's, or a new one.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};
use burn::tensor::Device;
use gpt2_backbone::{Gpt2Backbone, Gpt2BackboneConfig, LoraConfig};
use gpt2_presets::WeightDtype;
use gpt2_task::{Gpt2CausalLm, Gpt2CausalLmPreprocessor, PreprocessorConfig};
use gpt2_tokenizer::Gpt2Tokenizer;
use serde_json::{Map, Value};

use super::arguments::Arguments;
use crate::context::Context;
use crate::model;

/// transformers' keys of a config, with KerasHub's names for them.
const TRANSFORMERS_KEYS: [(&str, &str); 6] = [
    ("vocab_size", "vocabulary_size"),
    ("n_layer", "num_layers"),
    ("n_head", "num_heads"),
    ("n_embd", "hidden_dim"),
    ("n_inner", "intermediate_dim"),
    ("n_positions", "max_sequence_length"),
];

/// Model to train.
pub(super) fn model(
    arguments: &Arguments,
    device: &Device,
    context: &Context,
) -> anyhow::Result<Gpt2CausalLm> {
    let (mut backbone, tokenizer, mut config) = match &arguments.config {
        None => {
            let model = model::load(&arguments.preset, device, WeightDtype::F32, context)?;
            let preprocessor = model.preprocessor().context("the preset has no tokenizer")?;
            let (tokenizer, config) =
                (preprocessor.tokenizer().clone(), preprocessor.config().clone());
            (model.into_backbone(), tokenizer, config)
        }
        Some(path) => {
            let source = arguments.tokenizer.as_deref().unwrap_or_default();
            let tokenizer = model::tokenizer(source, context)?;
            let config = config(path, &tokenizer, context)?;
            let backbone = Gpt2Backbone::new(&config, arguments.seed, device)?;
            (backbone, tokenizer, PreprocessorConfig::default())
        }
    };
    if let Some(dropout) = arguments.dropout {
        backbone.set_dropout(dropout)?;
    }
    let positions = backbone.config().max_sequence_length;
    let default = config.sequence_length.min(positions);
    config.sequence_length = arguments.sequence_length.unwrap_or(default);
    if !(1..=positions).contains(&config.sequence_length) {
        let found = config.sequence_length;
        bail!("`--sequence-length` must be between 1 and {positions}, found {found}");
    }
    let preprocessor = Gpt2CausalLmPreprocessor::new(tokenizer, config)?;
    let mut model = Gpt2CausalLm::new(backbone, Some(preprocessor))?;
    if let Some(rank) = arguments.lora_rank {
        model.enable_lora(LoraConfig::new(rank).with_seed(arguments.seed))?;
    }
    Ok(model)
}

/// Reads a config. Default of its vocabulary size: the tokenizer's.
fn config(
    path: &Path,
    tokenizer: &Gpt2Tokenizer,
    context: &Context,
) -> anyhow::Result<Gpt2BackboneConfig> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let ids = tokenizer.max_token_id() as usize + 1;
    let config = parse(&text, ids)
        .with_context(|| format!("{} is not a backbone's config", path.display()))?;
    if config.vocabulary_size > ids {
        context.warn(format_args!(
            "`vocabulary_size` of {} is {}, and the tokenizer has {ids} tokens: the other ids are \
             never generated",
            path.display(),
            config.vocabulary_size
        ));
    }
    Ok(config)
}

/// Parses a config. Unknown keys are errors, because a misspelt one would otherwise be ignored.
fn parse(text: &str, ids: usize) -> anyhow::Result<Gpt2BackboneConfig> {
    let known = Gpt2BackboneConfig::KEYS;
    let mut given: Map<String, Value> = serde_json::from_str(text)?;
    let unknown = given.keys().find(|key| !known.contains(&key.as_str()));
    let transformers = |key: &str| TRANSFORMERS_KEYS.iter().any(|(theirs, _)| *theirs == key);
    if given.keys().any(|key| transformers(key)) {
        let names = TRANSFORMERS_KEYS.map(|(theirs, ours)| format!("`{ours}` for `{theirs}`"));
        bail!("it has transformers' names of keys, expected KerasHub's: {}", names.join(", "));
    }
    if let Some(unknown) = unknown {
        bail!("unknown key `{unknown}`, expected one of {known:?}");
    }
    given.entry("vocabulary_size").or_insert_with(|| ids.into());
    // Parsed from the text if that is complete, so that errors have a line number.
    serde_json::from_str(text).or_else(|_| Ok(serde_json::from_value(Value::Object(given))?))
}
